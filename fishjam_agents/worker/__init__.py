"""Bots for rooms: which room gets one, getting in, limits, draining, cleaning up.

Names load what they need when first used: reading a configuration pays neither for the REST client nor for
the sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
    from fishjam_agents.worker.call_outcome import CallOutcome
    from fishjam_agents.worker.multi_room import Bots, MultiRoomWorker
    from fishjam_agents.worker.orphaned_agents import OrphanedAgents
    from fishjam_agents.worker.room_rules import RoomRule
    from fishjam_agents.worker.room_snapshot import Person, RoomSnapshot
    from fishjam_agents.worker.settings import (
        ApiSettings,
        ClaimsSettings,
        FishjamSettings,
        LimitSettings,
        RoomSettings,
        WorkersSettings,
    )
    from fishjam_agents.worker.worker import JoinedRoom, Worker

__all__ = [
    "ApiSettings",
    "Bots",
    "CallOutcome",
    "ClaimsSettings",
    "FishjamSettings",
    "JoinedRoom",
    "LimitSettings",
    "MultiRoomWorker",
    "OrphanedAgents",
    "Person",
    "RoomRule",
    "RoomSettings",
    "RoomSnapshot",
    "Worker",
    "WorkersSettings",
]

_HOMES = {
    "ApiSettings": "settings",
    "Bots": "multi_room",
    "CallOutcome": "call_outcome",
    "ClaimsSettings": "settings",
    "FishjamSettings": "settings",
    "OrphanedAgents": "orphaned_agents",
    "LimitSettings": "settings",
    "JoinedRoom": "worker",
    "MultiRoomWorker": "multi_room",
    "Person": "room_snapshot",
    "RoomRule": "room_rules",
    "RoomSettings": "settings",
    "RoomSnapshot": "room_snapshot",
    "Worker": "worker",
    "WorkersSettings": "settings",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
