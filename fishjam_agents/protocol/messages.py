"""The messages of the agent socket as light classes; fields are those of `schema/agent.proto`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Track:
    """A track of a peer.

    Attributes:
        id: Unique in the room.
        type: A `TrackType`: 0 unspecified, 1 video, 2 audio.
        metadata: JSON text, `"null"` or `""` if the publisher gave none.
    """

    id: str
    type: int = 0
    metadata: str = ""


# Two hundred of these are made per second and call; a frozen dataclass takes three times as long to make.
@dataclass(slots=True)
class TrackData:
    """Audio of one peer's track, server to agent.

    Attributes:
        peer_id: The peer that publishes the track.
        track: The track; frames of one track share one object.
        data: Signed 16-bit little-endian mono PCM at the rate asked for when the agent was made.
    """

    peer_id: str
    track: Track
    data: bytes


@dataclass(slots=True)
class TrackChunk:
    """Audio of one of the agent's own tracks, agent to server.

    Attributes:
        track_id: The agent's track.
        data: PCM16 or one Opus packet, as the track was announced.
    """

    track_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class TrackImage:
    """A still of a video track, server to agent.

    Attributes:
        track_id: The video track it was taken from.
        content_type: MIME type; Fishjam sends `image/jpeg`.
        data: The encoded image.
    """

    track_id: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The server took the token."""


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The first message of an agent.

    Attributes:
        token: The agent's peer token.
    """

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddTrack:
    """The agent publishes a track.

    Attributes:
        track: Id, type and metadata of the new track.
        encoding: A `TrackEncoding`: 0 unspecified (PCM16), 1 PCM16, 2 Opus.
        sample_rate: Hz.
        channels: Interleaved channels.
    """

    track: Track
    encoding: int = 0
    sample_rate: int = 0
    channels: int = 0


@dataclass(frozen=True, slots=True)
class RemoveTrack:
    """The agent's track plays to its end and goes.

    Attributes:
        track_id: The agent's track.
    """

    track_id: str


@dataclass(frozen=True, slots=True)
class InterruptTrack:
    """Request to drop the audio that was sent on the agent's track and has not been played.

    Attributes:
        track_id: The agent's track.
    """

    track_id: str


@dataclass(frozen=True, slots=True)
class CaptureImage:
    """The agent asks for one still of a peer's video track.

    Attributes:
        track_id: The video track.
    """

    track_id: str


AgentRequest = AuthRequest | AddTrack | RemoveTrack | TrackChunk | InterruptTrack | CaptureImage
"""Messages that an agent sends."""

AgentResponse = Authenticated | TrackData | TrackImage
"""Messages that the server sends to an agent."""
