"""Bots for rooms: getting in, limits, draining, cleaning up.

Names load what they need when first used: reading a configuration pays neither for the REST client nor for
the sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
    from fishjam_agents.worker.call_outcome import CallOutcome
    from fishjam_agents.worker.orphaned_agents import OrphanedAgents
    from fishjam_agents.worker.settings import FishjamSettings, LimitSettings, RoomSettings
    from fishjam_agents.worker.worker import JoinedRoom, Worker

__all__ = [
    "CallOutcome",
    "FishjamSettings",
    "JoinedRoom",
    "LimitSettings",
    "OrphanedAgents",
    "RoomSettings",
    "Worker",
]

_HOMES = {
    "CallOutcome": "call_outcome",
    "FishjamSettings": "settings",
    "OrphanedAgents": "orphaned_agents",
    "LimitSettings": "settings",
    "JoinedRoom": "worker",
    "RoomSettings": "settings",
    "Worker": "worker",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
