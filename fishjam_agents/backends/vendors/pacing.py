"""Pace of requests: the generic cell rate algorithm, which is a token bucket without a timer.

Source: ITU-T Recommendation I.371, virtual scheduling. Has no clock: `now` is loop time.
"""

from __future__ import annotations

import math
import random

_JITTER = 0.2
"""Share of a step that a request which has waited may come late, so that processes do not move in step."""


class Pacer:
    """Lets requests through in steps.

    Args:
        interval: Seconds between two.
        burst: Requests that may come at once after a rest.
    """

    def __init__(self, interval: float, burst: int = 1) -> None:
        self._interval = interval
        self._tolerance = interval * (burst - 1)
        self._due = -math.inf

    @classmethod
    def per_minute(cls, requests: int) -> Pacer:
        """A pacer that lets no more than so many requests through in any 60 s."""
        burst = max(1, requests // 10)
        # A burst on top of even steps is still within the limit.
        return cls(60.0 / (requests - burst + 1), burst)

    def follow(self, before: Pacer, now: float) -> None:
        """Take over the requests that another pacer has let through lately."""
        self._due = now + max(0.0, before._due - now) / before._interval * self._interval

    def next(self, now: float) -> float:
        """Loop time from which the next request may come."""
        return max(now, self._due - self._tolerance)

    def take(self, now: float, *, waited: bool = False) -> None:
        """Take note of a request.

        Args:
            now: When it is made: not before `next`, or else what follows waits so much longer.
            waited: Whether it had to wait: the one after it then waits a little longer, by chance.
        """
        late = random.uniform(0.0, _JITTER) * self._interval if waited else 0.0
        self._due = max(now, self._due) + self._interval + late
