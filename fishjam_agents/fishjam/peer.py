"""A peer of a room as REST shows it: who it is, whether it is connected, what it publishes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .json_model import JsonModel, Properties, key, list_of, member, model, properties, text


class PeerType(enum.StrEnum):
    """Kind of a peer."""

    AGENT = "agent"
    VAPI = "vapi"
    WEBRTC = "webrtc"


class PeerStatus(enum.StrEnum):
    """State of a peer's socket: open or not."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class SubscribeMode(enum.StrEnum):
    """`auto` peers get every other peer's tracks, `manual` ones what they are subscribed to."""

    AUTO = "auto"
    MANUAL = "manual"


class TrackType(enum.StrEnum):
    """The medium of a track."""

    AUDIO = "audio"
    VIDEO = "video"


class PeerMetadata(Properties):
    """A peer's metadata: `{"peer": ..., "server": ...}` for a browser, what each side said about it."""


class TrackMetadata(Properties):
    """Metadata that a publisher gave its track."""


@dataclass(frozen=True, slots=True)
class Subscriptions(JsonModel):
    """Subscriptions of a `manual` peer.

    Attributes:
        peers: Ids of peers all of whose tracks it gets.
        tracks: Ids of single tracks it gets.
    """

    WHAT: ClassVar[str] = "subscriptions"

    peers: list[str] = field(default_factory=list, metadata=key("peers", list_of(text), absent=list))
    tracks: list[str] = field(default_factory=list, metadata=key("tracks", list_of(text), absent=list))


@dataclass(frozen=True, slots=True)
class Track(JsonModel):
    """A track a peer publishes.

    Attributes:
        id: Unique in the room.
        metadata: What the publisher said about it.
        type_: `audio` or `video`.
    """

    WHAT: ClassVar[str] = "a track"

    id: str | None = field(default=None, metadata=key("id", text, absent=None))
    metadata: Any = field(default=None, metadata=key("metadata", properties(TrackMetadata), absent=None))
    type_: TrackType | str | None = field(default=None, metadata=key("type", member(TrackType), absent=None))

    @property
    def type(self) -> TrackType | str | None:
        """The same as `type_`, the official SDK's name."""
        return self.type_


@dataclass(frozen=True, slots=True)
class Peer(JsonModel):
    """A peer of a room.

    Attributes:
        id: Unique in the room.
        metadata: What the peer and the backend said about it, if anything.
        status: `connected` or `disconnected`.
        subscribe_mode: `auto` or `manual`.
        subscriptions: What it was subscribed to by hand.
        tracks: What it publishes.
        type_: `webrtc`, `agent` or `vapi`.
    """

    WHAT: ClassVar[str] = "a peer"

    id: str = field(metadata=key("id", text))
    metadata: PeerMetadata | None = field(metadata=key("metadata", properties(PeerMetadata), absent=None))
    status: PeerStatus | str = field(metadata=key("status", member(PeerStatus)))
    subscribe_mode: SubscribeMode | str = field(
        metadata=key("subscribeMode", member(SubscribeMode), absent=SubscribeMode.AUTO)
    )
    subscriptions: Subscriptions = field(
        metadata=key("subscriptions", model(Subscriptions), absent=Subscriptions)
    )
    tracks: list[Track] = field(metadata=key("tracks", list_of(model(Track)), absent=list))
    type_: PeerType | str = field(metadata=key("type", member(PeerType)))

    @property
    def type(self) -> PeerType | str:
        """The same as `type_`, the official SDK's name."""
        return self.type_
