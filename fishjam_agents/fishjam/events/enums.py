"""The enumerations inside notifications, under the names of the official SDK.

The wire's own classes (`protocol.generated`) have the same numbers and shorter names; members of both
compare equal.
"""

from __future__ import annotations

import betterproto

from ...session import TrackEncoding

__all__ = [
    "ServerMessagePeerType",
    "ServerMessageRecordingStatusChangedStatus",
    "ServerMessageVadNotificationStatus",
    "TrackEncoding",
    "TrackType",
]


class ServerMessagePeerType(betterproto.Enum):
    """Kind of a peer."""

    PEER_TYPE_UNSPECIFIED = 0
    PEER_TYPE_WEBRTC = 1
    PEER_TYPE_AGENT = 2
    PEER_TYPE_VAPI = 3


class ServerMessageRecordingStatusChangedStatus(betterproto.Enum):
    """State of a recording."""

    STATUS_UNSPECIFIED = 0
    STATUS_ACTIVE = 1
    STATUS_FINISHED = 2
    STATUS_AVAILABLE = 3
    STATUS_FAILED = 4


class ServerMessageVadNotificationStatus(betterproto.Enum):
    """Voice activity on a track."""

    STATUS_UNSPECIFIED = 0
    STATUS_SILENCE = 1
    STATUS_SPEECH = 2


class TrackType(betterproto.Enum):
    """The medium of a track."""

    TRACK_TYPE_UNSPECIFIED = 0
    TRACK_TYPE_VIDEO = 1
    TRACK_TYPE_AUDIO = 2
