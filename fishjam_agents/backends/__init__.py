"""Model backends: the port, its events and ordered outbox, the registry, and the built-in bots."""

from __future__ import annotations

from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendEvent,
    BackendInput,
    BackendSession,
    Capabilities,
    InlineSession,
)
from fishjam_agents.backends.wav import Wav

__all__ = [
    "Backend",
    "BackendContext",
    "BackendEvent",
    "BackendInput",
    "BackendSession",
    "Capabilities",
    "Fallback",
    "InlineSession",
    "Parrot",
    "Wav",
]
