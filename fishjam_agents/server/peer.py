"""One peer of a room: its state, and what REST says about it."""

from __future__ import annotations

import json
from typing import Any, Protocol

from ..json_limits import read_json, strict_json
from ..protocol import Track, TrackType
from ..session import PeerType
from .media.sources import Source
from .settings import PeerConfig
from .subscriptions import Subscriptions

REFUSED = "invalid sdk version"
"""Reason with which a socket is closed whose client has said something that cannot be answered.

Of the reasons after which Fishjam's web client does not connect anew, the one that is the client's affair;
versions after 0.25 want it to be the whole reason.
"""


class Attachment(Protocol):
    """Attachment of a connected peer: a socket, or a simulated caller."""

    def detach(self, code: int, reason: str) -> None:
        """The room lets go of it: close with `code` and `reason`."""
        ...


class Listener(Protocol):
    """An attachment that hears the room."""

    def hear(self, frames: bytes, count: int) -> None:
        """Take `count` WebSocket frames of `TrackData`, joined. Must return at once."""
        ...


class AudioListener(Protocol):
    """An attachment that hears the room as plain sound, told apart by who makes it."""

    def hear_packet(self, publisher: Peer, packet: bytes) -> None:
        """Take 20 ms of PCM16, mono, at `PeerConfig.sample_rate`. Must return at once."""
        ...


class SourceListener(Protocol):
    """An attachment that takes the room's sources as they are."""

    def hear_source(self, publisher: Peer, source: Source, sounded: bool, ticks: int) -> None:
        """Take what `source` sounded like in the window that ends at tick `ticks`, if it `sounded` at all."""
        ...


class DataChannel(Protocol):
    """A channel for messages of any kind between browsers."""

    def send(self, message: bytes) -> None:
        """Send a message to the peer whose channel it is. Must return at once."""
        ...


class Peer:
    """State of one peer.

    Attributes:
        id: The peer's id.
        config: What it was made with.
        attachment: What it is connected by; None while disconnected.
        listener: Where its audio goes; None if it takes none in this form.
        audio_listener: The same for plain sound.
        source_listener: The same for sources as they are.
        version: Grows with every change that others are told of.
        ready: Whether the others see it: a browser that has connected has yet to say who it is.
        client_metadata: The client's part of its metadata.
        sources: Track id to what it publishes.
        channels: Label to each data channel it has opened.
        subscriptions: Whom it hears.
    """

    def __init__(self, peer_id: str, config: PeerConfig) -> None:
        self.id = peer_id
        self.config = config
        self.attachment: Attachment | None = None
        self.listener: Listener | None = None
        self.audio_listener: AudioListener | None = None
        self.source_listener: SourceListener | None = None
        self.version = 0
        self.ready = False
        self.client_metadata: Any = {}
        self.sources: dict[str, Source] = {}
        self.channels: dict[str, DataChannel] = {}
        self.subscriptions = Subscriptions(config.manual)

    @property
    def type(self) -> PeerType:
        """Type of the peer."""
        return self.config.type

    @property
    def connected(self) -> bool:
        """True while its socket is open."""
        return self.attachment is not None

    def let_go(self) -> None:
        """Forget what it is connected by."""
        self.attachment = None
        self.listener = self.audio_listener = self.source_listener = None
        self.ready = False

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The client's and the server's part; None for an agent and a VAPI peer, which have neither."""
        if self.type is not PeerType.WEBRTC:
            return None
        return {"peer": self.client_metadata, "server": dict(self.config.metadata)}

    def hears(self, publisher: Peer, track: Track) -> bool:
        """Return whether `track` of `publisher` is sent to it: one it is subscribed to, and never its own."""
        return publisher is not self and self.subscriptions.cover(publisher.id, track.id)

    def as_json(self) -> dict[str, Any]:
        """The seven keys REST answers with; clients compare them, so there must be no eighth."""
        return {
            "id": self.id,
            "type": self.type.value,
            "status": "connected" if self.connected else "disconnected",
            "metadata": self.metadata,
            "subscribeMode": "manual" if self.config.manual else "auto",
            "subscriptions": self.subscriptions.as_json(),
            "tracks": [_track_json(source.track) for source in self.sources.values()],
        }


def _track_json(track: Track) -> dict[str, Any]:
    metadata = json.loads(track.metadata)
    return {
        "id": track.id,
        "type": "video" if track.type == TrackType.VIDEO else "audio",
        "metadata": metadata if isinstance(metadata, dict) else None,
    }


def metadata_text(text: str) -> str:
    """Metadata from a socket as JSON text: kept if it is JSON, else quoted as the string it is."""
    if not text:
        return "null"
    try:
        strict_json(read_json(text))
    except ValueError:
        return json.dumps(text)
    return text
