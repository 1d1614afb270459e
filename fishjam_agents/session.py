"""The door to a media server: what the pipeline needs of a session, a track and a room.

Nothing here imports Fishjam. An `AgentSession` of `fishjam_agents.fishjam`, one of the official
`fishjam-server-sdk`, the in-memory session of `fishjam_agents.testing` and an adapter to another media
server all fit, because frames are told apart by their attributes and never by `isinstance`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fishjam_agents.json_limits import read_json


@dataclass(frozen=True, slots=True)
class MediaServer:
    """Rules of a media server that the pipeline goes by.

    Attributes:
        track_rates: Rates at which it plays the PCM of a bot's track, Hz; the last one is taken where the
            backend's own is not among them.
        agent_mark: Entries in the metadata of the track a bot speaks on, by which one bot knows another where
            no `RoomView` tells it.
        late_audio: Seconds for which audio of a peer may still arrive once the `RoomView` tells that it left.
    """

    track_rates: Sequence[int]
    agent_mark: Mapping[str, Any] = field(default_factory=dict)
    late_audio: float = 0.0

    def track_rate(self, wanted: int) -> int:
        """Hz of the track of a bot whose voice has `wanted` Hz."""
        return wanted if wanted in self.track_rates else self.track_rates[-1]

    def is_marked(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether the metadata of a track say that a bot speaks on it."""
        return bool(self.agent_mark) and self.agent_mark.items() <= metadata.items()


FISHJAM = MediaServer(track_rates=(16000, 24000), agent_mark={"agent": True}, late_audio=1.0)
"""Rules of Fishjam, and of every session that names no others. The rates: Fishjam docs, Agent Internals. Late
audio: Fishjam tells of leaving by notifications, which come over another socket."""


class TrackEncoding(enum.IntEnum):
    """Encoding of an outgoing track (Fishjam protos, `TrackEncoding`). Unspecified means PCM16."""

    TRACK_ENCODING_UNSPECIFIED = 0
    TRACK_ENCODING_PCM16 = 1
    TRACK_ENCODING_OPUS = 2


@dataclass(frozen=True, slots=True)
class OutgoingAudioTrackOptions:
    """Parameters of an outgoing audio track.

    Attributes:
        encoding: Encoding of what `send_chunk` is given; raw PCM16 by default.
        sample_rate: Hz; Fishjam takes 16000 or 24000 for PCM16.
        channels: Fishjam plays mono only.
        metadata: Anything JSON can express; shown to every peer of the room.
    """

    encoding: TrackEncoding = TrackEncoding.TRACK_ENCODING_UNSPECIFIED
    sample_rate: int = 16000
    channels: int = 1
    metadata: dict[str, Any] | None = None


class TrackInfo(Protocol):
    """A remote track as a frame names it."""

    @property
    def id(self) -> str:
        """Id of the track, unique in the room."""
        ...

    @property
    def metadata(self) -> str:
        """JSON text the publisher gave, `"null"` or `""` if none."""
        ...


class AudioFrame(Protocol):
    """Audio of one peer's track: what `receive()` yields while somebody's microphone is open.

    A message with `peer_id` is audio; one with `content_type` is an image (`ImageFrame`).
    """

    @property
    def peer_id(self) -> str:
        """Id of the peer that publishes the track."""
        ...

    @property
    def track(self) -> TrackInfo:
        """The track the audio belongs to."""
        ...

    @property
    def data(self) -> bytes:
        """Signed 16-bit little-endian mono PCM at the rate asked for when the agent was made."""
        ...


class ImageFrame(Protocol):
    """A still of a video track, the answer to `capture_image`."""

    @property
    def track_id(self) -> str:
        """The video track it was taken from."""
        ...

    @property
    def content_type(self) -> str:
        """MIME type; Fishjam sends `image/jpeg`."""
        ...

    @property
    def data(self) -> bytes:
        """The encoded image."""
        ...


class OutgoingTrack(Protocol):
    """The bot's own voice in the room."""

    @property
    def id(self) -> str:
        """Id of the track."""
        ...

    # May also offer `ready: bool`, false while a session that reconnects has lost its connection. Replies
    # are then held, and go on where they were when it is back.
    #
    # May also offer `post_chunk(data: bytes) -> bool`, a `send_chunk` that is no coroutine: false where
    # nothing was sent, because that has to wait or fails. `send_chunk` is then asked.
    #
    # May also offer `playout_estimate() -> PlayoutEstimate`, asked once, before the first chunk. Without it,
    # what has been played is estimated by Fishjam's rules (`playout/estimate.py`).

    async def send_chunk(self, data: bytes) -> None:
        """Queue PCM16 for real-time playout at the server."""
        ...

    async def interrupt(self) -> None:
        """Drop what was sent and has not been played."""
        ...


class PlayoutEstimate(Protocol):
    """Audio of one track that the room has heard. Times are loop time in seconds, counts are samples.

    It is told of each chunk and each interrupt as they are sent, in their order.
    """

    @property
    def end(self) -> float:
        """Time at which the last chunk sent ends; minus infinity before the first."""
        ...

    def send(self, now: float, samples: int) -> None:
        """Note that a chunk of `samples` was sent at `now`."""
        ...

    def played(self, now: float) -> int:
        """Samples played by `now`, of all that were sent and not removed by an interrupt."""
        ...

    def interrupt(self, now: float) -> int:
        """Note an interrupt that was sent at `now`.

        Returns:
            Samples played when silence begins. What was sent beyond them is removed.
        """
        ...


class Session(Protocol):
    """An agent's connection to a room.

    Coroutines of a session and its tracks are started eagerly (`playout.sender`): up to their first
    suspension they run inside the caller. On Python 3.11 they therefore must not open an
    `asyncio.timeout` before that point.
    """

    # May also offer `media_server: MediaServer`, the rules of its server; without it they are Fishjam's.

    def receive(self) -> AsyncIterator[Any]:
        """Yield `AudioFrame` and `ImageFrame`; ends, or raises, when the session is over.

        A session that survives the loss of its connection yields, when it is back, an object with `outage`:
        seconds for which it was away, and nothing was heard or said.
        """
        ...

    async def add_track(self, options: Any) -> OutgoingTrack:
        """Publish a track; `options` has the attributes of `OutgoingAudioTrackOptions`."""
        ...

    async def capture_image(self, track_id: str) -> None:
        """Ask for one still of a video track."""
        ...


class PeerType(enum.Enum):
    """Kind of a peer, by its name in Fishjam's REST."""

    WEBRTC = "webrtc"
    AGENT = "agent"
    VAPI = "vapi"


@dataclass(frozen=True, slots=True)
class PeerView:
    """One peer of a room, as a `RoomView` shows it.

    Attributes:
        id: The peer's id.
        type: Browser or app (`WEBRTC`), a bot (`AGENT`), Fishjam's own bridge (`VAPI`).
        connected: Whether its socket is open.
        metadata: Its metadata as the media server gives them.
        tracks: Track id to decoded metadata of the tracks it publishes.
        client_metadata: The part of `metadata` that the peer itself writes, and may change.
        server_metadata: The part that the application wrote, which the peer cannot change.
    """

    id: str
    type: PeerType
    connected: bool
    metadata: Mapping[str, Any] | None = None
    tracks: Mapping[str, Any] = field(default_factory=dict)
    client_metadata: Mapping[str, Any] = field(default_factory=dict)
    server_metadata: Mapping[str, Any] = field(default_factory=dict)


class RoomView(Protocol):
    """State of the room beyond its audio. Level-triggered: a callback only says "look again"."""

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of now."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of `peers`; returns the function that ends it."""
        ...


def media_server_of(session: Session) -> MediaServer:
    """Return the rules of a session's media server: its own, else Fishjam's."""
    server: MediaServer = getattr(session, "media_server", FISHJAM)
    return server


def track_metadata(track: TrackInfo) -> Mapping[str, Any]:
    """Decode a track's metadata; anything that is not a JSON object is an empty mapping."""
    text = getattr(track, "metadata", None)
    if not text:
        return {}
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
