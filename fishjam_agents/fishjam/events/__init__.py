"""Notifications: what happens in rooms, as notifiers and webhooks tell it.

Each is a class of its own with the fields of Fishjam's schema; `metadata` is JSON text. Match them by type:

    match notification:
        case ServerMessagePeerConnected(room_id=room, peer_id=peer):
            ...
"""

from __future__ import annotations

from ...protocol.generated.notifications import (
    ServerMessageChannelAdded,
    ServerMessageChannelRemoved,
    ServerMessagePeerAdded,
    ServerMessagePeerConnected,
    ServerMessagePeerCrashed,
    ServerMessagePeerDeleted,
    ServerMessagePeerDisconnected,
    ServerMessagePeerMetadataUpdated,
    ServerMessageRecordingStatusChanged,
    ServerMessageRoomCrashed,
    ServerMessageRoomCreated,
    ServerMessageRoomDeleted,
    ServerMessageStreamConnected,
    ServerMessageStreamDisconnected,
    ServerMessageStreamerConnected,
    ServerMessageStreamerDisconnected,
    ServerMessageTrackAdded,
    ServerMessageTrackForwarding,
    ServerMessageTrackForwardingRemoved,
    ServerMessageTrackMetadataUpdated,
    ServerMessageTrackRemoved,
    ServerMessageVadNotification,
    ServerMessageViewerConnected,
    ServerMessageViewerDisconnected,
)
from ...protocol.generated.shared import Track
from .enums import (
    ServerMessagePeerType,
    ServerMessageRecordingStatusChangedStatus,
    ServerMessageVadNotificationStatus,
    TrackEncoding,
    TrackType,
)

__all__ = [
    "ServerMessageChannelAdded",
    "ServerMessageChannelRemoved",
    "ServerMessagePeerAdded",
    "ServerMessagePeerConnected",
    "ServerMessagePeerCrashed",
    "ServerMessagePeerDeleted",
    "ServerMessagePeerDisconnected",
    "ServerMessagePeerMetadataUpdated",
    "ServerMessagePeerType",
    "ServerMessageRecordingStatusChanged",
    "ServerMessageRecordingStatusChangedStatus",
    "ServerMessageRoomCrashed",
    "ServerMessageRoomCreated",
    "ServerMessageRoomDeleted",
    "ServerMessageStreamConnected",
    "ServerMessageStreamDisconnected",
    "ServerMessageStreamerConnected",
    "ServerMessageStreamerDisconnected",
    "ServerMessageTrackAdded",
    "ServerMessageTrackForwarding",
    "ServerMessageTrackForwardingRemoved",
    "ServerMessageTrackMetadataUpdated",
    "ServerMessageTrackRemoved",
    "ServerMessageVadNotification",
    "ServerMessageVadNotificationStatus",
    "ServerMessageViewerConnected",
    "ServerMessageViewerDisconnected",
    "Track",
    "TrackEncoding",
    "TrackType",
]
