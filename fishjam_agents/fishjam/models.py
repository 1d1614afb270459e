"""Responses of Fishjam's REST interface: rooms, and access to them.

Peers and recordings have files of their own; options to make these things are in `options`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from .json_model import JsonModel, boolean, integer, key, list_of, member, model, text
from .peer import Peer, PeerMetadata, PeerStatus, PeerType, SubscribeMode, Subscriptions, Track, TrackMetadata

__all__ = [
    "CompositionInfo",
    "MoqAccess",
    "Peer",
    "PeerAccess",
    "PeerMetadata",
    "PeerStatus",
    "PeerType",
    "Room",
    "RoomConfig",
    "RoomType",
    "SubscribeMode",
    "Subscriptions",
    "Track",
    "TrackForwardingInfo",
    "TrackMetadata",
    "VideoCodec",
]


class RoomType(enum.StrEnum):
    """Purpose of a room; `full_feature` and `broadcaster` are older names."""

    AUDIO_ONLY = "audio_only"
    AUDIO_ONLY_LIVESTREAM = "audio_only_livestream"
    BROADCASTER = "broadcaster"
    CONFERENCE = "conference"
    FULL_FEATURE = "full_feature"
    LIVESTREAM = "livestream"


class VideoCodec(enum.StrEnum):
    """The codec every peer of a room sends video in."""

    H264 = "h264"
    VP8 = "vp8"


@dataclass(frozen=True, slots=True)
class RoomConfig(JsonModel):
    """Configuration that a room was made with.

    Attributes:
        batch_webhook_notifications: Notifications are posted in batches.
        max_peers: Most peers the room takes, 0 or None for no limit.
        public: Livestream viewers need no token.
        room_type: What the room is for.
        video_codec: None leaves it to the server.
        webhook_url: Where notifications are posted; None is what the dashboard says.
    """

    WHAT: ClassVar[str] = "a room's config"

    batch_webhook_notifications: bool = field(
        default=False, metadata=key("batchWebhookNotifications", boolean, absent=False)
    )
    max_peers: int | None = field(default=None, metadata=key("maxPeers", integer, absent=None))
    public: bool = field(default=False, metadata=key("public", boolean, absent=False))
    room_type: RoomType | str = field(
        default=RoomType.CONFERENCE, metadata=key("roomType", member(RoomType), absent=RoomType.CONFERENCE)
    )
    video_codec: VideoCodec | str | None = field(
        default=None, metadata=key("videoCodec", member(VideoCodec), absent=None, omit_none=True)
    )
    webhook_url: str | None = field(default=None, metadata=key("webhookUrl", text, absent=None))


@dataclass(frozen=True, slots=True)
class TrackForwardingInfo(JsonModel):
    """One peer's tracks on their way into a composition.

    Attributes:
        input_id: The composition's input they become.
        peer_id: The peer.
        audio_track_id: Its audio track, if one is forwarded.
        video_track_id: Its video track, if one is forwarded.
    """

    WHAT: ClassVar[str] = "a track forwarding"

    input_id: str = field(metadata=key("inputId", text))
    peer_id: str = field(metadata=key("peerId", text))
    audio_track_id: str | None = field(default=None, metadata=key("audioTrackId", text, absent=None))
    video_track_id: str | None = field(default=None, metadata=key("videoTrackId", text, absent=None))


@dataclass(frozen=True, slots=True)
class CompositionInfo(JsonModel):
    """The composition a room's tracks are forwarded to.

    Attributes:
        composition_url: The composition.
        forwardings: What is forwarded.
    """

    WHAT: ClassVar[str] = "a composition info"

    composition_url: str = field(metadata=key("compositionUrl", text))
    forwardings: list[TrackForwardingInfo] = field(
        metadata=key("forwardings", list_of(model(TrackForwardingInfo)), absent=list)
    )


@dataclass(frozen=True, slots=True)
class Room(JsonModel):
    """A room and who is in it.

    Attributes:
        config: What it was made with.
        id: Room id.
        peers: Its peers, connected or not.
        composition_info: Where its tracks are forwarded, if anywhere.
    """

    WHAT: ClassVar[str] = "a room"

    config: RoomConfig = field(metadata=key("config", model(RoomConfig), absent=RoomConfig))
    id: str = field(metadata=key("id", text))
    peers: list[Peer] = field(metadata=key("peers", list_of(model(Peer)), absent=list))
    composition_info: CompositionInfo | None = field(
        default=None, metadata=key("compositionInfo", model(CompositionInfo), absent=None)
    )


@dataclass(frozen=True, slots=True)
class MoqAccess(JsonModel):
    """Access to the MoQ relay.

    Attributes:
        connection_url: Its URL with the token in it.
        token: The JWT alone. Neither is shown by `repr`.
    """

    WHAT: ClassVar[str] = "MoQ access"

    connection_url: str = field(repr=False, metadata=key("connection_url", text))
    token: str = field(repr=False, metadata=key("token", text))


@dataclass(frozen=True, slots=True)
class PeerAccess(JsonModel):
    """A peer just made, and how it may connect.

    Attributes:
        peer: The peer.
        token: Its peer token, valid for a day; not shown by `repr`.
        websocket_url: Where it should connect, if the server names a place.
    """

    WHAT: ClassVar[str] = "a new peer"

    peer: Peer = field(metadata=key("peer", model(Peer)))
    token: str = field(repr=False, metadata=key("token", text))
    websocket_url: str | None = field(default=None, metadata=key("peer_websocket_url", text, absent=None))
