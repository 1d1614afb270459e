"""Which rooms get a bot: getting in, limits, draining, cleaning up."""

from __future__ import annotations

from fishjam_agents.worker.ending import Ending
from fishjam_agents.worker.leftovers import Leftovers
from fishjam_agents.worker.settings import FishjamSettings, LimitSettings, RoomSettings
from fishjam_agents.worker.worker import Placement, Worker

__all__ = [
    "Ending",
    "FishjamSettings",
    "Leftovers",
    "LimitSettings",
    "Placement",
    "RoomSettings",
    "Worker",
]
