"""Search of the highest number of calls that pass. Pure: what a trial is, is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum


class Verdict(Enum):
    """Result of one trial."""

    PASSED = "passed"
    FAILED = "failed"
    DISTURBED = "disturbed"
    """It failed while the machine stood still for everybody: it says nothing."""


async def repeated(trial: Callable[[], Awaitable[Verdict]], *, alike: int = 2, most: int = 5) -> bool:
    """Repeat a trial until `alike` of its verdicts agree.

    Args:
        trial: Makes one.
        alike: Verdicts that decide; disturbed ones do not count.
        most: Trials after which it has failed.
    """
    verdicts: list[Verdict] = []
    while len(verdicts) < most:
        verdicts.append(await trial())
        for verdict in (Verdict.PASSED, Verdict.FAILED):
            if verdicts.count(verdict) == alike:
                return verdict is Verdict.PASSED
    return False


async def highest(passes: Callable[[int], Awaitable[bool]], first: int, most: int, grain: int) -> int:
    """Find the highest number that passes, taking it that all below one that passes do.

    Args:
        passes: Tells it of a number. Each is asked for once.
        first: Number to begin with: it is doubled, or halved, until the answer is between two of them.
        most: No number above is asked for.
        grain: All numbers are multiples of it, and the answer is as exact.

    Returns:
        0 where none passes.
    """
    low, high, step = 0, most + grain, first
    while high - low > grain:
        if not low < step < high:
            step = (low + high) // (2 * grain) * grain
        if await passes(step):
            low, step = step, 2 * step
        else:
            high, step = step, step // (2 * grain) * grain if not low else (low + step) // 2
        step = step // grain * grain
    return low
