"""Failover policy: when another backend takes over, and which one."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents.backends.health import HealthTracker
from fishjam_agents.backends.link import STEADY
from fishjam_agents.backends.port import Failover
from fishjam_agents.backends.vendors import VendorUnavailableError
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError

_LONGEST_REST = 600.0
"""Seconds; each time that it fails again, a backend rests twice as long as before."""
_NOT_AT_ONCE = ("auth", "config", "quota")
"""Kinds of failure that the next attempt would end in, too."""


class FailoverPolicy:
    """Choice among the backends of a call. Has no clock: `now` is loop time.

    Args:
        names: Their names in messages, the preferred one first.
        attempts: Failures in a row after which one is left.
        recovery: Seconds after which one that was left is tried again; None is never.

    Attributes:
        health: How they fare.
    """

    def __init__(self, names: Sequence[str], attempts: int, recovery: float | None) -> None:
        self._names = names
        self._attempts = attempts
        backoff = None if recovery is None else Backoff(recovery, max(_LONGEST_REST, recovery), jitter=0.0)
        self.health = HealthTracker(len(names), backoff)
        # Those that failed since anything worked: handing over to one of them is no progress.
        self._tried: set[int] = set()

    def failed(self, index: int, error: BackendError, lasted: float, now: float) -> tuple[int, BackendError]:
        """Take note that a connection failed, or was not made.

        Args:
            index: The backend.
            error: Its error.
            lasted: Seconds it was connected to.
            now: Loop time.

        Returns:
            The backend that is next, and what to raise.
        """
        health = self.health[index]
        if lasted > STEADY:
            health.failures = 0
            self._tried.clear()
        health.failures += 1
        at_once = error.failure not in _NOT_AT_ONCE and not isinstance(error, VendorUnavailableError)
        if error.retryable and at_once and health.failures < self._attempts:
            return index, error
        if error.retryable:
            self.health.rest(index, now)
        else:
            health.lost = True
        self._tried.add(index)
        following = self.health.choose(now)
        if following is None:
            return index, self._none_left(error)
        if following == index:
            return index, error
        name, fallback = self._names[index], self._names[following]
        kind = BackendError if following in self._tried else Failover
        return following, kind(
            error.reason,
            subject=f"{fallback} stands in for {name}:",
            action=error.action,
            retryable=True,
            failure=error.failure,
            backend=name,
            fallback=fallback,
        )

    def another(self, than: int, now: float) -> bool:
        """Return whether another backend may be used at once."""
        every = ((index, self.health[index]) for index in range(len(self._names)))
        return any(
            index != than and not health.lost and (health.rests_until is None or health.rests_until <= now)
            for index, health in every
        )

    def _none_left(self, error: BackendError) -> BackendError:
        if len(self._names) == 1:
            return error
        return BackendError(f"every backend failed, at last {error}", failure=error.failure)
