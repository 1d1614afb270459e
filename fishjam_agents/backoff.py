"""Delays before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Bounded exponential backoff with jitter, so that clients of a restarted server do not come at once.

    Attributes:
        first: Seconds before the second attempt, at most.
        longest: Seconds no wait exceeds.
        jitter: Share of each wait that is left to chance, 0 to 1.
    """

    first: float = 0.25
    longest: float = 10.0
    jitter: float = 0.5

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, one or more."""
        # Beyond 2**32 every sensible bound is reached; the limit keeps the power small.
        bound = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return bound * random.uniform(1 - self.jitter, 1.0)
