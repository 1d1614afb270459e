"""Server notifications: the events of every room, in order (Fishjam protos, `ServerMessage`)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..protocol import Track, encode
from ..protocol.generated import notifications as schema
from ..protocol.generated.shared import Track as WireTrack
from ..protocol.generated.shared import TrackType, VadStatus
from ..session import PeerType
from .rate_limited_log import RateLimitedLog

_log = logging.getLogger(__name__)

_PEER_TYPES = {
    PeerType.WEBRTC: schema.PeerType(schema.PeerType.WEBRTC),
    PeerType.AGENT: schema.PeerType(schema.PeerType.AGENT),
    PeerType.VAPI: schema.PeerType(schema.PeerType.VAPI),
}

_RECORDING_STATUS = {
    "active": schema.RecordingStatus(schema.RecordingStatus.ACTIVE),
    "finished": schema.RecordingStatus(schema.RecordingStatus.FINISHED),
    "available": schema.RecordingStatus(schema.RecordingStatus.AVAILABLE),
    "failed": schema.RecordingStatus(schema.RecordingStatus.FAILED),
}

Subscriber = Callable[[str, bytes], None]
"""Called with the id of the room (a recording, which is in no room, has its own) and the encoded message."""


class Notifications:
    """Encodes each notification once and hands it to every subscriber, in the order it happened."""

    def __init__(self) -> None:
        self._failure = RateLimitedLog(_log)
        self._subscribers: list[Subscriber] = []

    def subscribe(self, notified: Subscriber) -> Callable[[], None]:
        """Call `notified(room_id, message)` from now on; returns the function that ends it."""
        self._subscribers.append(notified)

        def unsubscribe() -> None:
            if notified in self._subscribers:
                self._subscribers.remove(notified)

        return unsubscribe

    def room_created(self, room_id: str) -> None:
        """A room was made."""
        message = schema.ServerMessageRoomCreated(room_id=room_id)
        self._publish(room_id, schema.ServerMessage(room_created=message))

    def room_deleted(self, room_id: str) -> None:
        """A room is gone, after everything that was in it."""
        message = schema.ServerMessageRoomDeleted(room_id=room_id)
        self._publish(room_id, schema.ServerMessage(room_deleted=message))

    def peer_added(self, room_id: str, peer_id: str, peer_type: PeerType) -> None:
        """A peer may join from now on."""
        message = schema.ServerMessagePeerAdded(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type]
        )
        self._publish(room_id, schema.ServerMessage(peer_added=message))

    def peer_deleted(self, room_id: str, peer_id: str, peer_type: PeerType) -> None:
        """A peer is gone for good."""
        message = schema.ServerMessagePeerDeleted(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type]
        )
        self._publish(room_id, schema.ServerMessage(peer_deleted=message))

    def peer_connected(self, room_id: str, peer_id: str, peer_type: PeerType) -> None:
        """A peer's socket authenticated."""
        message = schema.ServerMessagePeerConnected(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type]
        )
        self._publish(room_id, schema.ServerMessage(peer_connected=message))

    def peer_disconnected(self, room_id: str, peer_id: str, peer_type: PeerType) -> None:
        """A peer's socket closed; the peer stays in the room."""
        message = schema.ServerMessagePeerDisconnected(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type]
        )
        self._publish(room_id, schema.ServerMessage(peer_disconnected=message))

    def peer_crashed(self, room_id: str, peer_id: str, peer_type: PeerType, reason: str) -> None:
        """A peer broke a rule of its socket and was removed."""
        message = schema.ServerMessagePeerCrashed(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type], reason=reason
        )
        self._publish(room_id, schema.ServerMessage(peer_crashed=message))

    def peer_metadata_updated(self, room_id: str, peer_id: str, peer_type: PeerType, metadata: str) -> None:
        """A peer said something about itself; `metadata` is JSON text."""
        message = schema.ServerMessagePeerMetadataUpdated(
            room_id=room_id, peer_id=peer_id, peer_type=_PEER_TYPES[peer_type], metadata=metadata
        )
        self._publish(room_id, schema.ServerMessage(peer_metadata_updated=message))

    def track_added(self, room_id: str, peer_id: str, track: Track) -> None:
        """A peer publishes a track."""
        message = schema.ServerMessageTrackAdded(room_id=room_id, peer_id=peer_id, track=_wire(track))
        self._publish(room_id, schema.ServerMessage(track_added=message))

    def track_removed(self, room_id: str, peer_id: str, track: Track) -> None:
        """A track is gone."""
        message = schema.ServerMessageTrackRemoved(room_id=room_id, peer_id=peer_id, track=_wire(track))
        self._publish(room_id, schema.ServerMessage(track_removed=message))

    def track_metadata_updated(self, room_id: str, peer_id: str, track: Track) -> None:
        """A track's metadata changed (a mute, for one)."""
        message = schema.ServerMessageTrackMetadataUpdated(
            room_id=room_id, peer_id=peer_id, track=_wire(track)
        )
        self._publish(room_id, schema.ServerMessage(track_metadata_updated=message))

    def channel_added(self, room_id: str, peer_id: str, channel_id: str) -> None:
        """A peer opened a data channel."""
        message = schema.ServerMessageChannelAdded(room_id=room_id, peer_id=peer_id, channel_id=channel_id)
        self._publish(room_id, schema.ServerMessage(channel_added=message))

    def channel_removed(self, room_id: str, peer_id: str, channel_id: str) -> None:
        """A data channel is closed."""
        message = schema.ServerMessageChannelRemoved(room_id=room_id, peer_id=peer_id, channel_id=channel_id)
        self._publish(room_id, schema.ServerMessage(channel_removed=message))

    def track_forwarding(self, room_id: str, peer_id: str, url: str, input_id: str, track: Track) -> None:
        """An audio track is an input of a composition from now on."""
        message = schema.ServerMessageTrackForwarding(
            room_id=room_id,
            peer_id=peer_id,
            composition_url=url,
            input_id=input_id,
            audio_track=_wire(track),
        )
        self._publish(room_id, schema.ServerMessage(track_forwarding=message))

    def track_forwarding_removed(self, room_id: str, peer_id: str, url: str, input_id: str) -> None:
        """A track is no input of a composition any more."""
        message = schema.ServerMessageTrackForwardingRemoved(
            room_id=room_id, peer_id=peer_id, composition_url=url, input_id=input_id
        )
        self._publish(room_id, schema.ServerMessage(track_forwarding_removed=message))

    def vad_notification(self, room_id: str, peer_id: str, track_id: str, speaking: bool) -> None:
        """Someone began or ended to speak on a track."""
        message = schema.ServerMessageVadNotification(
            room_id=room_id,
            peer_id=peer_id,
            track_id=track_id,
            status=VadStatus(VadStatus.SPEECH if speaking else VadStatus.SILENCE),
        )
        self._publish(room_id, schema.ServerMessage(vad_notification=message))

    def streamer_connected(self, room_id: str, streamer_id: str) -> None:
        """Someone sends a livestream."""
        message = schema.ServerMessageStreamerConnected(stream_id=room_id, streamer_id=streamer_id)
        self._publish(room_id, schema.ServerMessage(streamer_connected=message))

    def streamer_disconnected(self, room_id: str, streamer_id: str) -> None:
        """Nobody sends a livestream any more."""
        message = schema.ServerMessageStreamerDisconnected(stream_id=room_id, streamer_id=streamer_id)
        self._publish(room_id, schema.ServerMessage(streamer_disconnected=message))

    def viewer_connected(self, room_id: str, viewer_id: str) -> None:
        """One more watches a livestream."""
        message = schema.ServerMessageViewerConnected(stream_id=room_id, viewer_id=viewer_id)
        self._publish(room_id, schema.ServerMessage(viewer_connected=message))

    def viewer_disconnected(self, room_id: str, viewer_id: str) -> None:
        """One less watches a livestream."""
        message = schema.ServerMessageViewerDisconnected(stream_id=room_id, viewer_id=viewer_id)
        self._publish(room_id, schema.ServerMessage(viewer_disconnected=message))

    def recording_status_changed(self, recording_id: str, status: str, metadata: str) -> None:
        """A recording is in another state, by its REST name; `metadata` is JSON text."""
        message = schema.ServerMessageRecordingStatusChanged(
            recording_id=recording_id, status=_RECORDING_STATUS[status], metadata=metadata
        )
        self._publish(recording_id, schema.ServerMessage(recording_status_changed=message))

    def _publish(self, room_id: str, message: schema.ServerMessage) -> None:
        data = encode(message)
        for notified in tuple(self._subscribers):
            try:
                notified(room_id, data)
            except Exception:  # noqa: BLE001 - whoever it is, the others are told
                self._failure.exception("a subscriber of notifications failed")


def _wire(track: Track) -> WireTrack:
    return WireTrack(id=track.id, type=TrackType(track.type), metadata=track.metadata)
