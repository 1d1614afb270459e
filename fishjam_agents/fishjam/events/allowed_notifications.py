"""Messages of the server that are notifications, and their extraction from the envelope."""

from __future__ import annotations

from typing import Any

import betterproto

from ...protocol.generated.notifications import ServerMessage, ServerMessageNotificationBatch
from ..errors import StaleSdkError
from . import (
    ServerMessageChannelAdded,
    ServerMessageChannelRemoved,
    ServerMessagePeerAdded,
    ServerMessagePeerConnected,
    ServerMessagePeerCrashed,
    ServerMessagePeerDeleted,
    ServerMessagePeerDisconnected,
    ServerMessagePeerMetadataUpdated,
    ServerMessagePeerType,
    ServerMessageRecordingStatusChanged,
    ServerMessageRecordingStatusChangedStatus,
    ServerMessageRoomCrashed,
    ServerMessageRoomCreated,
    ServerMessageRoomDeleted,
    ServerMessageStreamerConnected,
    ServerMessageStreamerDisconnected,
    ServerMessageTrackAdded,
    ServerMessageTrackForwarding,
    ServerMessageTrackForwardingRemoved,
    ServerMessageTrackMetadataUpdated,
    ServerMessageTrackRemoved,
    ServerMessageVadNotification,
    ServerMessageVadNotificationStatus,
    ServerMessageViewerConnected,
    ServerMessageViewerDisconnected,
    Track,
    TrackType,
)

AllowedNotification = (
    ServerMessageRoomCreated
    | ServerMessageRoomDeleted
    | ServerMessageRoomCrashed
    | ServerMessagePeerAdded
    | ServerMessagePeerDeleted
    | ServerMessagePeerConnected
    | ServerMessagePeerDisconnected
    | ServerMessagePeerMetadataUpdated
    | ServerMessagePeerCrashed
    | ServerMessageStreamerConnected
    | ServerMessageStreamerDisconnected
    | ServerMessageChannelAdded
    | ServerMessageChannelRemoved
    | ServerMessageViewerConnected
    | ServerMessageViewerDisconnected
    | ServerMessageTrackAdded
    | ServerMessageTrackRemoved
    | ServerMessageTrackMetadataUpdated
    | ServerMessageRecordingStatusChanged
    | ServerMessageTrackForwarding
    | ServerMessageTrackForwardingRemoved
    | ServerMessageVadNotification
)
"""A notification. The last three are not told by the official SDK for Python."""

ALLOWED_NOTIFICATIONS: tuple[type[AllowedNotification], ...] = AllowedNotification.__args__
"""Their classes."""


def notifications_of(message: ServerMessage) -> list[AllowedNotification]:
    """The notifications in a message, in order: one, those of a batch, or none.

    Messages of the handshake and kinds that are deprecated or newer than this version give none.

    Raises:
        StaleSdkError: A recording has a status that this version does not know.
    """
    _, content = betterproto.which_one_of(message, "content")
    if isinstance(content, ServerMessageNotificationBatch):
        # Batches are never nested; what a batch in a batch holds is not looked at.
        members = (betterproto.which_one_of(member, "content")[1] for member in content.notifications)
    else:
        members = (item for item in (content,))
    return [_presented(member) for member in members if isinstance(member, ALLOWED_NOTIFICATIONS)]


def validate_notification(notification: AllowedNotification) -> None:
    """Refuse a recording's status that this version cannot tell apart.

    Raises:
        StaleSdkError: It has one.
    """
    if isinstance(notification, ServerMessageRecordingStatusChanged):
        known = range(1, len(ServerMessageRecordingStatusChangedStatus))
        if notification.status not in known:
            raise StaleSdkError(notification.status)


def _presented(notification: AllowedNotification) -> AllowedNotification:
    """The notification with its enumerations under their official names."""
    validate_notification(notification)
    if (peer_type := getattr(notification, "peer_type", None)) is not None:
        notification.peer_type = _named(ServerMessagePeerType, peer_type)
    if isinstance(notification, ServerMessageRecordingStatusChanged):
        notification.status = _named(ServerMessageRecordingStatusChangedStatus, notification.status)
    elif isinstance(notification, ServerMessageVadNotification):
        notification.status = _named(ServerMessageVadNotificationStatus, notification.status)
    for name in ("track", "audio_track", "video_track"):
        track = getattr(notification, name, None)
        if isinstance(track, Track):
            track.type = _named(TrackType, track.type)
    return notification


def _named(kind: type[betterproto.Enum], value: int) -> Any:
    """A number as a member of an enumeration; one newer than this version stays a number."""
    try:
        return kind(value)
    except ValueError:
        return int(value)
