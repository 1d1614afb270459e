"""What Fishjam's REST interface speaks of: rooms, peers, tracks, and the options to make them.

Keys this version does not know are kept in `extra`; values of enumerations stay text. So an older client
reads the answers of a newer server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ProtocolError

SubscribeMode = Literal["auto", "manual"]
"""`auto` peers get every other peer's tracks, `manual` ones what they are subscribed to."""


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """What a room was made with.

    Attributes:
        max_peers: Most peers the room takes, 0 or None for no limit.
        video_codec: `h264` or `vp8`.
        room_type: `conference`, `audio_only`, `livestream` or `audio_only_livestream`.
        public: Livestream viewers need no token.
        webhook_url: Where notifications are posted.
        batch_webhook_notifications: They are posted in batches.
        extra: Keys this version does not know.
    """

    max_peers: int | None = None
    video_codec: str | None = None
    room_type: str = "conference"
    public: bool = False
    webhook_url: str | None = None
    batch_webhook_notifications: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Track:
    """A track a peer publishes.

    Attributes:
        id: Unique in the room.
        type: `audio` or `video`.
        metadata: What the publisher said about it.
        extra: Keys this version does not know.
    """

    id: str | None = None
    type: str | None = None
    metadata: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer of a room.

    Attributes:
        id: Unique in the room.
        type: `webrtc`, `agent` or `vapi`.
        status: `connected` or `disconnected`.
        metadata: `{"peer": ..., "server": ...}` for a browser, what each side said about it.
        subscribe_mode: `auto` or `manual`.
        subscriptions: `{"peers": [...], "tracks": [...]}` it was subscribed to by hand.
        tracks: What it publishes.
        extra: Keys this version does not know.
    """

    id: str
    type: str
    status: str
    metadata: Mapping[str, Any] | None = None
    subscribe_mode: str = "auto"
    subscriptions: Mapping[str, Any] = field(default_factory=dict)
    tracks: tuple[Track, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """A room and who is in it.

    Attributes:
        id: Room id.
        config: What it was made with.
        peers: Its peers, connected or not.
        extra: Keys this version does not know.
    """

    id: str
    config: RoomConfig
    peers: tuple[Peer, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerAccess:
    """A peer just made, and how it may connect.

    Attributes:
        peer: The peer.
        token: Its peer token, valid for a day.
        websocket_url: Where it should connect, if the server names a place.
    """

    peer: Peer
    token: str = field(repr=False)
    websocket_url: str | None = None


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What to make a room with; the attributes of `RoomConfig`."""

    max_peers: int | None = None
    video_codec: Literal["h264", "vp8"] | None = None
    webhook_url: str | None = None
    room_type: Literal[
        "conference", "audio_only", "livestream", "full_feature", "broadcaster", "audio_only_livestream"
    ] = "conference"
    public: bool = False
    batch_webhook_notifications: bool = False


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What to make a browser's or an app's peer with.

    Attributes:
        metadata: What the backend says about the peer; the peer cannot change it.
        subscribe_mode: Whether it gets every track by itself.
    """

    metadata: Mapping[str, Any] | None = None
    subscribe_mode: SubscribeMode = "auto"


@dataclass(frozen=True, slots=True)
class AgentOutputOptions:
    """In which format the agent hears.

    Attributes:
        audio_format: PCM16 is the only one.
        audio_sample_rate: Hz.
    """

    audio_format: Literal["pcm16"] = "pcm16"
    audio_sample_rate: Literal[16000, 24000] = 16000


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What to make an agent with.

    Attributes:
        output: The format in which it hears.
        subscribe_mode: Whether it hears every track by itself.
    """

    output: AgentOutputOptions = field(default_factory=AgentOutputOptions)
    subscribe_mode: SubscribeMode = "auto"


_ROOM_KEYS = frozenset({"id", "config", "peers"})
_TRACK_KEYS = frozenset({"id", "type", "metadata"})
_PEER_KEYS = frozenset({"id", "type", "status", "metadata", "subscribeMode", "subscriptions", "tracks"})
_CONFIG_KEYS = frozenset(
    {"maxPeers", "videoCodec", "roomType", "public", "webhookUrl", "batchWebhookNotifications"}
)


def parse_room(value: Any) -> Room:
    """Read a room from decoded JSON.

    Raises:
        ProtocolError: It lacks what every room has.
    """
    room = as_object(value, "a room")
    return Room(
        id=as_text(room, "id", "a room"),
        config=_parse_config(as_object(room.get("config") or {}, "a room's config")),
        peers=tuple(parse_peer(peer) for peer in _list(room, "peers", "a room")),
        extra=_extra(room, _ROOM_KEYS),
    )


def _parse_config(config: Mapping[str, Any]) -> RoomConfig:
    return RoomConfig(
        max_peers=config.get("maxPeers"),
        video_codec=config.get("videoCodec"),
        room_type=config.get("roomType") or "conference",
        public=bool(config.get("public")),
        webhook_url=config.get("webhookUrl"),
        batch_webhook_notifications=bool(config.get("batchWebhookNotifications")),
        extra=_extra(config, _CONFIG_KEYS),
    )


def parse_peer(value: Any) -> Peer:
    """Read a peer from decoded JSON.

    Raises:
        ProtocolError: It lacks what every peer has.
    """
    peer = as_object(value, "a peer")
    return Peer(
        id=as_text(peer, "id", "a peer"),
        type=as_text(peer, "type", "a peer"),
        status=as_text(peer, "status", "a peer"),
        metadata=peer.get("metadata"),
        subscribe_mode=peer.get("subscribeMode") or "auto",
        subscriptions=as_object(peer.get("subscriptions") or {}, "a peer's subscriptions"),
        tracks=tuple(_parse_track(track) for track in _list(peer, "tracks", "a peer")),
        extra=_extra(peer, _PEER_KEYS),
    )


def _parse_track(value: Any) -> Track:
    track = as_object(value, "a track")
    return Track(
        id=track.get("id"),
        type=track.get("type"),
        metadata=track.get("metadata"),
        extra=_extra(track, _TRACK_KEYS),
    )


def as_object(value: Any, what: str) -> Mapping[str, Any]:
    """The value, if it is a JSON object.

    Raises:
        ProtocolError: It is something else.
    """
    if not isinstance(value, dict):
        raise ProtocolError(f"the server sent {type(value).__name__} for {what}: is it a Fishjam server?")
    return value


def as_text(value: Mapping[str, Any], key: str, what: str) -> str:
    """A text every such object has.

    Raises:
        ProtocolError: It is missing, or no text.
    """
    text = value.get(key)
    if not isinstance(text, str):
        raise ProtocolError(f"the server sent {what} without {key!r}: is it a Fishjam server?")
    return text


def _list(value: Mapping[str, Any], key: str, what: str) -> list[Any]:
    items = value.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise ProtocolError(f"the server sent {what} whose {key!r} is no list: is it a Fishjam server?")
    return items


def _extra(value: Mapping[str, Any], known: frozenset[str]) -> Mapping[str, Any]:
    return {key: item for key, item in value.items() if key not in known}
