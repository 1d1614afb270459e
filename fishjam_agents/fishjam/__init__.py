"""The Fishjam SDK: rooms and peers over REST, agents and notifications over WebSocket.

Every name of the official `fishjam-server-sdk` is here, but for its Composition API. Names load what they
need when first used: an agent does not pay for the REST client's imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports
from .._version import __version__ as __version__

if TYPE_CHECKING:
    from ..backoff import Backoff
    from . import agent, errors, events, integrations, peer, recording, room
    from .agent import Agent, AgentSession, OutgoingTrack
    from .client import AsyncFishjamClient, FishjamClient
    from .errors import (
        AgentAuthError,
        AgentError,
        BadRequestError,
        ConflictError,
        HTTPError,
        InternalServerError,
        InvalidFishjamCredentialsError,
        MissingFishjamIdError,
        NotFoundError,
        NotifierAuthError,
        QuotaExceededError,
        ServiceUnavailableError,
        SessionClosedError,
        SessionLostError,
        StaleSdkError,
        UnauthorizedError,
        UnreachableError,
    )
    from .live_events import ROOM_EVENTS, ConnectionState
    from .live_room import LiveRoom
    from .live_state import LiveTrack
    from .models import MoqAccess, Room, RoomConfig, RoomType, VideoCodec
    from .notifier import FishjamNotifier
    from .options import AgentOptions, AgentOutputOptions, PeerOptions, PeerOptionsVapi, RoomOptions
    from .peer import Peer, PeerMetadata, PeerStatus, PeerType, SubscribeMode, Subscriptions, Track
    from .reconnect import Disconnected, Reconnected
    from .recording import (
        CompositionSource,
        Recording,
        RecordingStatus,
        TemplateSource,
        TemplateSourceResolution,
    )
    from .webhooks import decode_server_notifications, receive_binary, verify_webhook_signature

__all__ = [
    "ROOM_EVENTS",
    "Agent",
    "AgentAuthError",
    "AgentError",
    "AgentOptions",
    "AgentOutputOptions",
    "AgentSession",
    "AsyncFishjamClient",
    "Backoff",
    "BadRequestError",
    "CompositionSource",
    "ConflictError",
    "ConnectionState",
    "Disconnected",
    "FishjamClient",
    "FishjamNotifier",
    "HTTPError",
    "InternalServerError",
    "InvalidFishjamCredentialsError",
    "LiveRoom",
    "LiveTrack",
    "MissingFishjamIdError",
    "MoqAccess",
    "NotFoundError",
    "NotifierAuthError",
    "OutgoingTrack",
    "Peer",
    "PeerMetadata",
    "PeerOptions",
    "PeerOptionsVapi",
    "PeerStatus",
    "PeerType",
    "QuotaExceededError",
    "Reconnected",
    "Recording",
    "RecordingStatus",
    "Room",
    "RoomConfig",
    "RoomOptions",
    "RoomType",
    "ServiceUnavailableError",
    "SessionClosedError",
    "SessionLostError",
    "StaleSdkError",
    "SubscribeMode",
    "Subscriptions",
    "TemplateSource",
    "TemplateSourceResolution",
    "Track",
    "UnauthorizedError",
    "UnreachableError",
    "VideoCodec",
    "agent",
    "decode_server_notifications",
    "errors",
    "events",
    "integrations",
    "peer",
    "receive_binary",
    "recording",
    "room",
    "verify_webhook_signature",
]

_MODULES = {
    "agent": ("Agent", "AgentSession", "OutgoingTrack"),
    ".backoff": ("Backoff",),
    "client": ("AsyncFishjamClient", "FishjamClient"),
    "errors": (
        "AgentAuthError",
        "AgentError",
        "BadRequestError",
        "ConflictError",
        "HTTPError",
        "InternalServerError",
        "InvalidFishjamCredentialsError",
        "MissingFishjamIdError",
        "NotFoundError",
        "NotifierAuthError",
        "QuotaExceededError",
        "ServiceUnavailableError",
        "SessionClosedError",
        "SessionLostError",
        "StaleSdkError",
        "UnauthorizedError",
        "UnreachableError",
    ),
    "models": ("MoqAccess", "Room", "RoomConfig", "RoomType", "VideoCodec"),
    "notifier": ("FishjamNotifier",),
    "options": ("AgentOptions", "AgentOutputOptions", "PeerOptions", "PeerOptionsVapi", "RoomOptions"),
    "peer": ("Peer", "PeerMetadata", "PeerStatus", "PeerType", "SubscribeMode", "Subscriptions", "Track"),
    "recording": (
        "CompositionSource",
        "Recording",
        "RecordingStatus",
        "TemplateSource",
        "TemplateSourceResolution",
    ),
    "reconnect": ("Disconnected", "Reconnected"),
    "live_events": ("ROOM_EVENTS", "ConnectionState"),
    "live_room": ("LiveRoom",),
    "live_state": ("LiveTrack",),
    "webhooks": ("decode_server_notifications", "receive_binary", "verify_webhook_signature"),
}
_HOMES = dict.fromkeys(__all__) | {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
