"""The door to a media server: what the pipeline needs of a session, a track and a room.

Nothing here imports Fishjam. An `AgentSession` of `fishjam_agents.fishjam`, one of the official
`fishjam-server-sdk`, the in-memory session of `fishjam_agents.testing` and an adapter to another media
server all fit, because frames are told apart by their attributes and never by `isinstance`.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fishjam_agents.json_limits import read_json

AGENT_MARK = {"type": "microphone", "agent": True}
"""Metadata of the track a bot speaks on. Browsers sort tracks by `type`; `agent` is how one bot knows
another where no `RoomView` tells it."""


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

    async def send_chunk(self, data: bytes) -> None:
        """Queue PCM16 for real-time playout at the server."""
        ...

    async def interrupt(self) -> None:
        """Drop what was sent and has not been played."""
        ...


class Session(Protocol):
    """An agent's connection to a room.

    Coroutines of a session and its tracks are started eagerly (`playout.sender`): up to their first
    suspension they run inside the caller. On Python 3.11 they therefore must not open an
    `asyncio.timeout` before that point.
    """

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
    """One peer of a room.

    Attributes:
        id: The peer's id.
        type: Browser or app (`WEBRTC`), a bot (`AGENT`), Fishjam's own bridge (`VAPI`).
        connected: Whether its socket is open.
        metadata: What the peer and the backend said about it.
        tracks: Track id to decoded metadata of the tracks it publishes.
    """

    id: str
    type: PeerType
    connected: bool
    metadata: Mapping[str, Any] | None = None
    tracks: Mapping[str, Any] = field(default_factory=dict)


class RoomView(Protocol):
    """State of the room beyond its audio. Level-triggered: a callback only says "look again"."""

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of now."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of `peers`; returns the function that ends it."""
        ...


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
