"""Options of rooms, peers and agents. Mutable, as programs written for the official SDK expect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

AudioSampleRate: TypeAlias = Literal[16000, 24000]
"""Rate at which an agent is sent audio, Hz (Fishjam docs, Agent Internals)."""


def audio_sample_rate(wanted: int) -> AudioSampleRate:
    """Return the rate to ask for when `wanted` Hz are needed: as much of it as Fishjam has."""
    return 24000 if wanted > 16000 else 16000


@dataclass(slots=True)
class RoomOptions:
    """Options of a new room.

    Attributes:
        max_peers: Most peers the room takes; None for no limit.
        video_codec: The codec every peer sends video in; None leaves it to the server.
        webhook_url: Where notifications are posted; None is what the dashboard says.
        room_type: What the room is for.
        public: Livestream viewers need no token.
        batch_webhook_notifications: Post several notifications in one request.
    """

    max_peers: int | None = None
    video_codec: Literal["h264", "vp8"] | None = None
    webhook_url: str | None = None
    room_type: Literal[
        "conference", "audio_only", "livestream", "full_feature", "broadcaster", "audio_only_livestream"
    ] = "conference"
    public: bool = False
    batch_webhook_notifications: bool = False


@dataclass(slots=True)
class PeerOptions:
    """Options of a new peer of a browser or an app.

    Attributes:
        metadata: What the backend says about the peer; the peer cannot change it.
        subscribe_mode: `auto` gets every track by itself.
    """

    metadata: dict[str, Any] | None = None
    subscribe_mode: Literal["auto", "manual"] = "auto"


@dataclass(slots=True)
class PeerOptionsVapi:
    """Options to bring a VAPI call into a room.

    Attributes:
        api_key: VAPI's API key; not shown by `repr`.
        call_id: The call, letters, digits and dashes.
        auto_close: End the call when the last participant leaves the room.
        subscribe_mode: `auto` hears every track by itself; None leaves it to the server.
    """

    api_key: str = field(repr=False)
    call_id: str
    auto_close: bool = False
    subscribe_mode: Literal["auto", "manual"] | None = None


@dataclass(slots=True)
class AgentOutputOptions:
    """In which format the agent hears.

    Attributes:
        audio_format: PCM16 is the only one.
        audio_sample_rate: Hz.
    """

    audio_format: Literal["pcm16"] = "pcm16"
    audio_sample_rate: AudioSampleRate = 16000


@dataclass(slots=True)
class AgentOptions:
    """Options of a new agent.

    Attributes:
        output: The format in which it hears.
        subscribe_mode: `auto` hears every track by itself.
    """

    output: AgentOutputOptions = field(default_factory=AgentOutputOptions)
    subscribe_mode: Literal["auto", "manual"] = "auto"
