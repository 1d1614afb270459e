"""Which rooms get a bot: getting in, limits, draining, cleaning up.

Names load what they need when first used: reading a configuration pays neither for the REST client nor for
the sockets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
