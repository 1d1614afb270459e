"""Settings of a service that Ray Serve spreads over many machines (`fishjam-agents-ray`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Cores, Seconds


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Replicas of a service on Ray. Durations in seconds.

    Attributes:
        min_replicas: Replicas that run also where no call does.
        max_replicas: Most replicas at once.
        target: Calls of a replica that Serve aims at; `workers.max_calls` is what one takes at most, and half
            as many again where that is not given.
        cpus: Cores that a replica reserves. One that drains keeps its share while its successor starts.
        drain: Time that calls have to end by themselves when their replica is to go.
        upscale_delay: Time for which more replicas have to be needed before there are more.
        downscale_delay: Time for which fewer have to be enough before there are fewer.
        lost_after: A replica that has not reached the ledger for so long lets its bots leave.
    """

    min_replicas: int = 1
    max_replicas: int = 4
    target: int = 20
    cpus: Cores = 0.5
    drain: Seconds = 3600.0
    upscale_delay: Seconds = 2.0
    downscale_delay: Seconds = 300.0
    lost_after: Seconds = 8.0

    def __post_init__(self) -> None:
        for name in ("min_replicas", "max_replicas", "target"):
            if getattr(self, name) < 1:
                raise SettingError(name, f"must be 1 or more, not {getattr(self, name)}", section="ray")
        if self.max_replicas < self.min_replicas:
            raise SettingError(
                "max_replicas",
                f"must be at least ray.min_replicas ({self.min_replicas}), not {self.max_replicas}",
                section="ray",
                fields=["min_replicas"],
            )
        if not 0 < self.cpus < math.inf:
            raise SettingError("cpus", f"must be positive, not {self.cpus:g}", section="ray")
        for name in ("drain", "upscale_delay", "downscale_delay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingError(
                    name, f"must be 0 or more seconds, not {getattr(self, name):g}", section="ray"
                )
        if not 2 <= self.lost_after < math.inf:
            raise SettingError(
                "lost_after", f"must be 2 or more seconds, not {self.lost_after:g}", section="ray"
            )
