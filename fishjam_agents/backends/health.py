"""Health of services that can stand in for one another: one that failed rests for a while."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fishjam_agents.backoff import Backoff


@dataclass(slots=True)
class ServiceHealth:
    """Health of one service in a call.

    Attributes:
        failures: Failures in a row.
        rests: How often it was left for another one.
        rests_until: When it may be tried again, loop time; None while it is as good as any.
        lost: Whether it failed in a way that only the user can mend.
    """

    failures: int = 0
    rests: int = 0
    rests_until: float | None = None
    lost: bool = False


class HealthTracker:
    """Health of several services, the preferred one first. Has no clock: `now` is loop time.

    Args:
        count: Number of services.
        recovery: How long each rests before it is tried again; None is for good.
    """

    def __init__(self, count: int, recovery: Backoff | None) -> None:
        self._recovery = recovery
        self._all = [ServiceHealth() for _ in range(count)]

    def __getitem__(self, index: int) -> ServiceHealth:
        return self._all[index]

    def order(self) -> list[int]:
        """The services in the order in which to ask them: those that rest, or did, come last."""
        return sorted(range(len(self._all)), key=lambda index: self._all[index].rests_until is not None)

    def due(self, now: float) -> list[int]:
        """Return those that failed and have rested."""
        rests = [health.rests_until for health in self._all]
        return [index for index, until in enumerate(rests) if until is not None and until <= now]

    def better(self, than: int) -> dict[int, float]:
        """Return those preferred to a service that may work again, and when they have rested."""
        times = {index: self._rested_at(index) for index in range(than) if not self._all[index].lost}
        return {index: until for index, until in times.items() if until < math.inf}

    def choose(self, now: float) -> int | None:
        """Choose the service to use: the first that does not rest, or the one that has rested longest.

        Returns:
            Its index, None if none can work any more.
        """
        left = [index for index, health in enumerate(self._all) if not health.lost]
        return min(left, key=lambda index: max(self._rested_at(index) - now, 0.0), default=None)

    def _rested_at(self, index: int) -> float:
        until = self._all[index].rests_until
        return -math.inf if until is None else until

    def rest(self, index: int, now: float) -> None:
        """Leave a service alone for a while, each time for longer."""
        health = self._all[index]
        health.rests += 1
        health.rests_until = now + (
            math.inf if self._recovery is None else self._recovery.delay(health.rests)
        )

    def rested(self, index: int) -> None:
        """Let a service be used at once."""
        self._all[index].rests_until = None

    def recovered(self, index: int) -> None:
        """Forget what was wrong with a service: it works again."""
        self._all[index] = ServiceHealth()
