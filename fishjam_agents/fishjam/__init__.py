"""The Fishjam SDK: rooms and peers over REST, agents and notifications over WebSocket.

Names load what they need when first used: an agent does not pay for the REST client's imports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent import Agent, AgentSession, OutgoingTrack
    from .backoff import Backoff
    from .client import AsyncFishjamClient
    from .errors import (
        AgentAuthError,
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
        UnauthorizedError,
        UnreachableError,
    )
    from .models import (
        AgentOptions,
        AgentOutputOptions,
        Peer,
        PeerOptions,
        Room,
        RoomConfig,
        RoomOptions,
        Track,
    )
    from .notifier import FishjamNotifier
    from .room import RoomFeed

__all__ = [
    "Agent",
    "AgentAuthError",
    "AgentOptions",
    "AgentOutputOptions",
    "AgentSession",
    "AsyncFishjamClient",
    "Backoff",
    "BadRequestError",
    "ConflictError",
    "FishjamNotifier",
    "HTTPError",
    "InternalServerError",
    "InvalidFishjamCredentialsError",
    "MissingFishjamIdError",
    "NotFoundError",
    "NotifierAuthError",
    "OutgoingTrack",
    "Peer",
    "PeerOptions",
    "QuotaExceededError",
    "Room",
    "RoomConfig",
    "RoomFeed",
    "RoomOptions",
    "ServiceUnavailableError",
    "SessionClosedError",
    "SessionLostError",
    "Track",
    "UnauthorizedError",
    "UnreachableError",
]

_MODULES = {
    "agent": ("Agent", "AgentSession", "OutgoingTrack"),
    "backoff": ("Backoff",),
    "client": ("AsyncFishjamClient",),
    "models": (
        "AgentOptions",
        "AgentOutputOptions",
        "Peer",
        "PeerOptions",
        "Room",
        "RoomConfig",
        "RoomOptions",
        "Track",
    ),
    "notifier": ("FishjamNotifier",),
    "room": ("RoomFeed",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
