"""One room: its peers, who is connected, what is published, and the notifications that tell of it.

The order of notifications is that of the tests of Fishjam's Python server SDK and of `fishjam-dev/fishjam`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from ..protocol import Track
from ..session import PeerType
from .errors import RequestError, peer_not_found
from .forwarding import Forwarding
from .livestream import Livestream
from .media.camera import VideoSource
from .media.fanout import Fanout
from .media.recorder import Recorder, Sink, Tap
from .media.sources import Source
from .notifications import Notifications
from .peer import Attachment, AudioListener, DataChannel, Listener, Peer, SourceListener
from .settings import PeerConfig, RoomConfig

_TAKEN_OVER = {
    # Fishjam's web client would take any other reason for a lost connection, and take the peer over again.
    PeerType.WEBRTC: "reached peers limit",
    PeerType.AGENT: "peer already connected",
    PeerType.VAPI: "peer already connected",
}
"""Reason with which the older of two sockets of one peer is closed."""


class Room:
    """A room and everything in it.

    Attributes:
        id: The room's id.
        config: What it was made with.
        peers: Peer id to peer, in the order they were added.
        livestream: Who may send and watch, in a room that has viewers instead of peers.
        forwarding: Its link to a composition, if it has one.
    """

    def __init__(
        self,
        room_id: str,
        config: RoomConfig,
        notifications: Notifications,
        livestream: Livestream | None = None,
    ) -> None:
        self.id = room_id
        self.config = config
        self.peers: dict[str, Peer] = {}
        self.livestream = livestream
        self.forwarding: Forwarding | None = None
        self._notifications = notifications
        self._fanout = Fanout()
        self._taps: list[Tap] = []
        self._watchers: list[Callable[[], None]] = []

    def as_json(self) -> dict[str, Any]:
        """As REST answers it."""
        answer = {
            "id": self.id,
            "config": self.config.as_json(),
            "peers": [peer.as_json() for peer in self.peers.values()],
        }
        if self.forwarding is not None:
            answer["compositionInfo"] = self.forwarding.as_json()
        return answer

    def peer(self, peer_id: str) -> Peer:
        """The peer of that id.

        Raises:
            RequestError: 404, there is none.
        """
        peer = self.peers.get(peer_id)
        if peer is None:
            raise peer_not_found(peer_id)
        return peer

    def add_peer(self, config: PeerConfig, peer_id: str | None = None) -> Peer:
        """Add a peer, disconnected at first.

        Args:
            config: What it is made with.
            peer_id: Its id, one that nobody in the room has; None chooses one.

        Raises:
            RequestError: 400, a livestream has no peers; 409, the room is full, and connected or not, every
                peer counts.
        """
        if self.livestream is not None:
            raise RequestError(
                400, f"Room {self.id} is a livestream: it takes a streamer and viewers, no peers"
            )
        if 0 < self.config.max_peers <= len(self.peers):
            raise RequestError(409, f"Reached {config.type.value} peers limit in room {self.id}")
        peer = Peer(peer_id or str(uuid.uuid4()), config)
        self.peers[peer.id] = peer
        self._notifications.peer_added(self.id, peer.id, peer.type)
        return peer

    def remove_peer(self, peer: Peer, reason: str = "Peer removed") -> None:
        """Remove a peer and close its socket with `reason`."""
        if self.peers.get(peer.id) is not peer:
            return
        self._release(peer, 1000, reason)
        del self.peers[peer.id]
        self._notifications.peer_deleted(self.id, peer.id, peer.type)

    def crash_peer(self, peer: Peer, reason: str) -> None:
        """Remove a peer that broke a rule, as Fishjam does when its endpoint crashes."""
        if self.peers.get(peer.id) is not peer:
            return
        self._withdraw(peer)
        attachment = peer.attachment
        peer.let_go()
        del self.peers[peer.id]
        self._changed(peer)
        self._notifications.peer_crashed(self.id, peer.id, peer.type, reason)
        if attachment is not None:
            attachment.detach(1011, reason)

    def connect(
        self,
        peer: Peer,
        attachment: Attachment,
        listener: Listener | None = None,
        audio_listener: AudioListener | None = None,
    ) -> None:
        """A peer's socket authenticated. One that is connected already is taken over."""
        self._release(peer, 1000, _TAKEN_OVER[peer.type])
        peer.attachment = attachment
        peer.listener = listener
        peer.audio_listener = audio_listener
        peer.ready = peer.type is not PeerType.WEBRTC
        self._changed(peer)
        self._notifications.peer_connected(self.id, peer.id, peer.type)
        if peer.type is PeerType.AGENT:
            self._notifications.peer_metadata_updated(self.id, peer.id, peer.type, "null")

    def disconnect(self, peer: Peer, attachment: Attachment) -> None:
        """A peer's socket closed; the peer stays, without tracks. Ignored once it was taken over."""
        if peer.attachment is attachment:
            self._release(peer, 1000, "")

    def update_peer_metadata(self, peer: Peer, metadata: Any) -> None:
        """The client's part of a peer's metadata."""
        peer.client_metadata = metadata
        peer.ready = peer.connected
        self._notifications.peer_metadata_updated(self.id, peer.id, peer.type, json.dumps(peer.metadata))
        self._changed(peer, routes=False)

    def add_track(self, peer: Peer, source: Source) -> None:
        """A peer publishes a track."""
        peer.sources[source.track.id] = source
        self._changed(peer)
        self._notifications.track_added(self.id, peer.id, source.track)
        if self.forwarding is not None and not isinstance(source, VideoSource):
            self.forwarding.track_added(peer.id, source.track)

    def remove_track(self, peer: Peer, source: Source) -> None:
        """A track ends now."""
        if peer.sources.pop(source.track.id, None) is not None:
            self._changed(peer)
            if self.forwarding is not None and not isinstance(source, VideoSource):
                self.forwarding.track_removed(peer.id, source.track)
            self._notifications.track_removed(self.id, peer.id, source.track)

    def track_metadata_updated(self, peer: Peer, track: Track) -> None:
        """A published track has new metadata."""
        self._changed(peer)
        self._notifications.track_metadata_updated(self.id, peer.id, track)

    def voice_changed(self, peer: Peer, track_id: str, speaking: bool) -> None:
        """Someone began or ended to speak on a published track."""
        self._notifications.vad_notification(self.id, peer.id, track_id, speaking)
        self._changed(peer, routes=False)

    def has_track(self, track_id: str) -> bool:
        """Return whether a track of that ID is published by anyone."""
        return any(track_id in peer.sources for peer in self.peers.values())

    def capture(self, peer: Peer, track_id: str, now: float, reply: Callable[[bytes], None]) -> None:
        """Give `reply` a still of a video track that a peer is subscribed to, where Fishjam does."""
        for publisher in self.peers.values():
            source = publisher.sources.get(track_id)
            if isinstance(source, VideoSource) and peer.hears(publisher, source.track):
                source.capture(now, reply)
                return

    def open_channel(self, peer: Peer, label: str, channel: DataChannel) -> None:
        """A peer opened a data channel."""
        peer.channels[label] = channel
        self._notifications.channel_added(self.id, peer.id, label)

    def close_channel(self, peer: Peer, label: str) -> None:
        """A peer's data channel is closed. Does nothing when it is."""
        if peer.channels.pop(label, None) is not None:
            self._notifications.channel_removed(self.id, peer.id, label)

    def send_data(self, peer: Peer, label: str, message: bytes, destinations: Iterable[str]) -> None:
        """Hand a message on to everybody else who has opened a channel of that label.

        Args:
            peer: Whose message it is.
            label: Of the channel.
            message: The message.
            destinations: Peer ids; `*` is everybody.
        """
        wanted = set(destinations)
        for other in tuple(self.peers.values()):
            if other is not peer and label in other.channels and ("*" in wanted or other.id in wanted):
                other.channels[label].send(message)

    def subscribe(self, peer: Peer, *, peer_id: str | None = None, track_ids: tuple[str, ...] = ()) -> None:
        """Let a peer with manual subscriptions hear a peer or some tracks; a no-op for an automatic one.

        Raises:
            RequestError: 404, there is no such peer or track.
        """
        if peer_id is not None and peer_id not in self.peers:
            raise peer_not_found(peer_id)
        for track_id in track_ids:
            if not self.has_track(track_id):
                raise RequestError(404, f"Track {track_id} does not exist")
        if peer.subscriptions.add(peer_id=peer_id, track_ids=track_ids):
            self._changed(peer)

    def forward(self, url: str) -> None:
        """Forward every track, now and later, to the composition at `url`.

        Raises:
            RequestError: 409, the room is linked to a composition already.
        """
        if self.forwarding is not None:
            raise RequestError(409, f"Room {self.id} is forwarded to {self.forwarding.url} already")
        self.forwarding = Forwarding(self.id, url, self._notifications)
        for peer in self.peers.values():
            for source in peer.sources.values():
                if not isinstance(source, VideoSource):
                    self.forwarding.track_added(peer.id, source.track)

    def record(self, position: float, views: Iterable[str] = (), keep: int | None = None) -> Recorder:
        """Begin a recording whose sample 0 is room time `position`, in seconds: now, or later.

        Args:
            position: Room time, in seconds.
            views: Peers of whom it is to be known what they heard (`Recording.heard`).
            keep: Whole seconds of the room's sound that are kept, the latest; None keeps all.
        """
        recorder = Recorder(position, self._untap, views, keep)
        self._taps.append(recorder)
        return recorder

    def tap(self, position: float, sink: Sink) -> Tap:
        """Hand all sound from room time `position` on to `sink`, until the tap is detached."""
        tap = Tap(position, sink, self._untap)
        self._taps.append(tap)
        return tap

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever peers, tracks, metadata, subscriptions or voice activity did.

        Returns the function that ends it. Called in the middle of a change: look at the room later.
        """
        self._watchers.append(changed)

        def unwatch() -> None:
            if changed in self._watchers:
                self._watchers.remove(changed)

        return unwatch

    def listen(self, peer: Peer, listener: SourceListener) -> None:
        """Let `listener` hear what a connected peer hears, as sources."""
        peer.source_listener = listener
        self._changed(peer)

    def _changed(self, peer: Peer, *, routes: bool = True) -> None:
        """Something about `peer` changed: what is told of it and, with `routes`, who hears whom."""
        peer.version += 1
        if routes:
            self._fanout.invalidate()
        for changed in tuple(self._watchers):
            changed()

    def _untap(self, tap: Tap) -> None:
        if tap in self._taps:
            self._taps.remove(tap)

    def tick(self, ticks: int) -> None:
        """Close the window that ends at tick `ticks`: everyone hears what sounded in it."""
        for peer, source in self._fanout.tick(ticks, self.peers.values(), self._taps):
            self.remove_track(peer, source)

    def flush(self, source: Source, ticks: int) -> None:
        """Hand on at once what came of a live source after tick `ticks`."""
        self._fanout.flush(source, ticks, self.peers.values(), self._taps)

    def close(self) -> None:
        """Remove every peer and the room."""
        for peer in tuple(self.peers.values()):
            self.remove_peer(peer, "Room stopped")
        if self.livestream is not None:
            self.livestream.close()
        self._notifications.room_deleted(self.id)

    def _release(self, peer: Peer, code: int, reason: str) -> None:
        attachment = peer.attachment
        if attachment is None:
            return
        self._withdraw(peer)
        peer.let_go()
        self._changed(peer)
        self._notifications.peer_disconnected(self.id, peer.id, peer.type)
        attachment.detach(code, reason)

    def _withdraw(self, peer: Peer) -> None:
        """Remove what a peer publishes."""
        for label in tuple(peer.channels):
            self.close_channel(peer, label)
        for source in tuple(peer.sources.values()):
            self.remove_track(peer, source)
