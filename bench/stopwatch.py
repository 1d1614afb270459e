"""CPU time of a piece of work that is done many times over."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_us(work: Callable[[], object], times: int, repetitions: int = 5) -> list[float]:
    """Microseconds of CPU for each call of `work`, once per repetition.

    Args:
        work: Done `times` times in each repetition.
        times: How often it is done between two looks at the clock.
        repetitions: Number of figures.
    """
    measured = []
    for _ in range(repetitions):
        begun = time.process_time()
        for _ in range(times):
            work()
        measured.append(1e6 * (time.process_time() - begun) / times)
    return measured
