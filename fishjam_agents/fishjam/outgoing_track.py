"""The agent's voice: a track it publishes in its room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import AudioError, ConfigError
from ..protocol import Track, TrackChunkEncoder, TrackType, encode_add_track, encode_interrupt
from ..session import TrackEncoding

if TYPE_CHECKING:
    from .agent import AgentSession

PCM_SAMPLE_RATES = (16000, 24000)
"""Rates of PCM16 that Fishjam takes from an agent, Hz."""

MAX_CHUNK_BYTES = 1024 * 1024
"""Largest chunk sent, in bytes: what WebSocket servers take by default, and 22 s at 24 kHz. Fishjam drops
whole chunks at an interrupt, so send far less."""


class OutgoingTrack:
    """The agent's voice: audio sent here is played to the room in real time.

    Attributes:
        id: Track id; another one after the session has reconnected.
        session: The session it belongs to.
        options: What it was published with.
    """

    def __init__(self, id: str, session: AgentSession, options: Any) -> None:
        """Made by `AgentSession.add_track`."""
        self.session = session
        self.options = options
        self._send = session._send
        self.rename(id)

    def rename(self, id: str) -> None:
        """Be another track from now on, as after a reconnect."""
        self.id = id
        self._encode = TrackChunkEncoder(id).encode
        self._interrupt = encode_interrupt(id)

    @property
    def ready(self) -> bool:
        """True while audio reaches the room: false during an outage."""
        return self.session.connected

    async def send_chunk(self, data: bytes) -> None:
        """Queue audio for real-time playout. During an outage of a session that reconnects it is dropped.

        Args:
            data: Signed 16-bit little-endian mono PCM at the track's rate, at most 1 MiB, or one Opus packet.

        Raises:
            AudioError: The chunk is too long.
            SessionError: The session is over.
        """
        if len(data) > MAX_CHUNK_BYTES:
            raise AudioError(
                f"a chunk of {len(data)} bytes is too long: send audio in pieces of a second or less"
            )
        await self._send(self._encode(data))

    async def interrupt(self) -> None:
        """Drop what was sent and has not been played. Audio sent afterwards plays normally.

        Raises:
            SessionError: The session is over.
        """
        await self._send(self._interrupt)


def announcement(track: OutgoingTrack) -> bytes:
    """The message that publishes a track.

    Raises:
        ConfigError: Fishjam would not take such a track.
    """
    options = track.options
    return encode_add_track(
        Track(track.id, TrackType.AUDIO, _checked_metadata(options)),
        encoding=int(options.encoding),
        sample_rate=options.sample_rate,
        channels=options.channels,
    )


def _checked_metadata(options: Any) -> str:
    """Check options against what Fishjam's engine takes; the metadata as JSON text.

    An agent whose track the engine refuses is cut off without a word, so this says it first.
    """
    encoding = int(options.encoding)
    if encoding not in set(TrackEncoding):
        raise ConfigError(f"{options.encoding!r} is no track encoding: use PCM16 or Opus")
    if options.channels != 1:
        raise ConfigError(f"an agent's track cannot have {options.channels} channels: mix it down to mono")
    if encoding != TrackEncoding.TRACK_ENCODING_OPUS and options.sample_rate not in PCM_SAMPLE_RATES:
        raise ConfigError(
            f"Fishjam takes no PCM at {options.sample_rate} Hz: resample it to 16000 or 24000 Hz"
        )
    try:
        return json.dumps(options.metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the metadata of a track must be JSON ({error}): use plain values only") from error
