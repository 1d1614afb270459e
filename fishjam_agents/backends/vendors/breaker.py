"""Circuit breaker: after failures of several requests in a row nobody asks, then one request tries.

Source: Michael Nygard, Release It!, "Circuit Breaker". Pure: `now` is loop time.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError

FAILURES = 5
"""Failures in a row, of whichever calls, after which it opens."""
WINDOW = 10.0
"""Seconds within which they must come."""
REST = Backoff(first=0.5, longest=2.0)
"""Seconds it stays open before one request tries; each further time in a row longer."""
KEY_REFUSALS = 2
"""Refusals of the key in a row after which it opens."""
KEY_REST = 60.0
"""Seconds it stays open then: somebody has to change the key, which makes it another account."""
LONGEST_WISH = 600.0
"""Longest `Retry-After` that is heeded, in seconds."""


class CircuitBreaker:
    """State of one account, as far as its failures tell.

    Attributes:
        state: `closed`: requests go through; `open`: none does; `half_open`: one is trying.
        reason: Why it is not closed; None while it is.
        key_refused: Whether that is the key.
        opened: How often it has opened, openings again after a trial not counted.
        epoch: Number of its state: what was asked in an earlier one says nothing any more.
    """

    def __init__(self) -> None:
        self.state: Literal["closed", "open", "half_open"] = "closed"
        self.reason: str | None = None
        self.key_refused = False
        self.opened = 0
        self.epoch = 0
        self._failures: deque[float] = deque(maxlen=FAILURES)
        self._refusals = 0
        self._rests = 0
        self._until = -math.inf
        self._closed_at = -math.inf

    def next(self, now: float) -> float:
        """Loop time from which a request may go through; infinity while one is trying."""
        match self.state:
            case "closed":
                return now
            case "open":
                return max(now, self._until)
            case "half_open":
                return math.inf

    def retry_at(self, now: float) -> float:
        """Loop time at which a request can go through at the earliest, whatever the one that tries finds."""
        return self._until if self.state == "open" else now

    def begin(self) -> int:
        """Let a request through, `next` has come; returns the epoch it belongs to."""
        if self.state == "open":
            self._enter("half_open")
        return self.epoch

    def succeeded(self, epoch: int, now: float) -> None:
        """A request was answered."""
        if epoch != self.epoch:
            return
        self._failures.clear()
        self._refusals = 0
        if self.state == "half_open":
            self._enter("closed")
            self.reason, self.key_refused, self._closed_at = None, False, now

    def failed(self, epoch: int, error: BackendError, now: float) -> None:
        """A request failed, or a connection was lost.

        Args:
            epoch: Of the request.
            error: Why. What tells nothing of the vendor (a setting it does not take) does not count.
            now: Loop time.
        """
        if epoch != self.epoch or self.state == "open":
            # All calls that lose a vendor say so, and have said it when it opened.
            return
        refused = error.failure == "auth" and not error.retryable
        if not refused and not (error.retryable and error.failure in ("network", "quota")):
            self.abandoned(epoch)
            return
        self._refusals = self._refusals + 1 if refused else 0
        self._failures.append(now)
        many = len(self._failures) == FAILURES and now - self._failures[0] <= WINDOW
        if refused and (self._refusals >= KEY_REFUSALS or self.state == "half_open"):
            self._open(error, now + KEY_REST, now)
            self.key_refused = True
        elif error.retry_after is not None:
            self._open(error, now + min(error.retry_after, LONGEST_WISH), now)
        elif many or self.state == "half_open":
            # One that failed soon after it had come back is not trusted more than before.
            self._rests = 1 if self._steady(now) else self._rests + 1
            self._open(error, now + REST.delay(self._rests), now)

    def abandoned(self, epoch: int) -> None:
        """A request ended without telling anything: another one may try."""
        if epoch == self.epoch and self.state == "half_open":
            self._enter("open")

    def _steady(self, now: float) -> bool:
        return self.state == "closed" and now - self._closed_at > WINDOW

    def _open(self, error: BackendError, until: float, now: float) -> None:
        self.opened += self.state == "closed"
        self.reason, self.key_refused, self._until = error.reason, False, until
        self._failures.clear()
        self._enter("open")

    def _enter(self, state: Literal["closed", "open", "half_open"]) -> None:
        self.state = state
        self.epoch += 1
