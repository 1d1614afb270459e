"""Which rooms get a bot: getting in, limits, draining, cleaning up.

Names load what they need when first used: reading a configuration pays neither for the REST client nor for
the sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
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

_HOMES = {
    "Ending": "ending",
    "FishjamSettings": "settings",
    "Leftovers": "leftovers",
    "LimitSettings": "settings",
    "Placement": "worker",
    "RoomSettings": "settings",
    "Worker": "worker",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
