"""Choice among several backends: the first that does not rest; a failed one rests for a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fishjam_agents.backends.link import STEADY
from fishjam_agents.backends.port import Failover
from fishjam_agents.errors import BackendError

_LONGEST_REST = 600.0
"""Seconds; each time that it fails again, a backend rests twice as long as before."""
_NOT_AT_ONCE = ("auth", "config", "quota")
"""Kinds of failure that the next attempt would end in, too."""


@dataclass(slots=True)
class BackendHealth:
    """Health of one backend in a call.

    Attributes:
        connections: How often it was connected to.
        failures: In a row.
        rests: How often it was left for another one.
        rests_until: When it may be tried again, loop time.
        lost: It failed in a way that only the user can mend.
    """

    connections: int = 0
    failures: int = 0
    rests: int = 0
    rests_until: float = -math.inf
    lost: bool = False


class HealthTracker:
    """Health of the backends of a call. Has no clock: `now` is loop time.

    Args:
        names: What they are called, the preferred one first.
        attempts: Failures in a row after which one is left.
        recovery: Seconds after which one that was left is tried again; None is never.
    """

    def __init__(self, names: Sequence[str], attempts: int, recovery: float | None) -> None:
        self._names = names
        self._attempts = attempts
        self._recovery = recovery
        self._all = [BackendHealth() for _ in names]
        # Those that failed since anything worked: handing over to one of them is no progress.
        self._tried: set[int] = set()

    def __getitem__(self, index: int) -> BackendHealth:
        return self._all[index]

    def choose(self, now: float) -> int | None:
        """The backend to use: of those that rest, if all do, the one that has rested longest.

        Returns:
            Its index, None if none can work any more.
        """
        left = [index for index, standing in enumerate(self._all) if not standing.lost]
        ready = [index for index in left if self._all[index].rests_until <= now]
        if ready:
            return ready[0]
        return min(left, key=lambda index: self._all[index].rests_until, default=None)

    def better(self, than: int) -> dict[int, float]:
        """Those preferred to a backend that may work again, and when they have rested."""
        times = {index: standing.rests_until for index, standing in enumerate(self._all[:than])}
        return {
            index: until for index, until in times.items() if until < math.inf and not self._all[index].lost
        }

    def failed(self, index: int, error: BackendError, lasted: float, now: float) -> tuple[int, BackendError]:
        """A connection failed, or was not made.

        Args:
            index: Whose.
            error: What it said.
            lasted: Seconds it was there.
            now: Loop time.

        Returns:
            Which is next, and what to raise.
        """
        standing = self._all[index]
        if lasted > STEADY:
            standing.failures = 0
            self._tried.clear()
        standing.failures += 1
        if error.retryable and error.failure not in _NOT_AT_ONCE and standing.failures < self._attempts:
            return index, error
        if error.retryable:
            self.rest(index, now)
        else:
            standing.lost = True
        self._tried.add(index)
        following = self.choose(now)
        if following is None:
            return index, self._none_left(error)
        if following == index:
            return index, error
        name, fallback = self._names[index], self._names[following]
        # Many a sentence begins with its own backend's name.
        reason = str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")
        told = f"{fallback} stands in for {name}: {reason}"
        kind = BackendError if following in self._tried else Failover
        return following, kind(told, retryable=True, failure=error.failure, backend=name, fallback=fallback)

    def rest(self, index: int, now: float) -> None:
        """A backend is left for a while."""
        standing = self._all[index]
        pause = math.inf
        if self._recovery is not None:
            pause = min(self._recovery * 2 ** min(standing.rests, 10), max(_LONGEST_REST, self._recovery))
        standing.rests += 1
        standing.rests_until = now + pause

    def rested(self, index: int) -> None:
        """A backend may be used at once."""
        self._all[index].rests_until = -math.inf

    def _none_left(self, error: BackendError) -> BackendError:
        if len(self._all) == 1:
            return error
        return BackendError(f"every backend failed, at last {error}", failure=error.failure)
