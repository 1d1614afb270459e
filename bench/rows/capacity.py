"""Highest number of calls that one core carries, found by bisection."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from bench.bisection import Verdict, highest, repeated
from bench.kinds import ECHO, HALF, Kind, loop_name, loops
from bench.run import Outcome, Plan
from bench.table import Row, skipped

_LIMIT_MS = 50.0
_STALL_MS = 25.0
"""Milliseconds that the machine stood still, from which on a trial that fails says nothing."""
_BUDGETS = {ECHO: 400, HALF: 560}
"""Calls on uvloop; the stretch is 500, and 700 where the bot speaks half of the time."""
_GRAIN, _FIRST, _MOST = 20, 200, 900
_PLAN = Plan(1.0, 2.5)
_LONG = Plan(4.0, 3.0)
_OVER = 1.1


@dataclass
class _Search:
    """Trials of one kind of call on one kind of loop."""

    kind: Kind
    uvloop: bool
    passed: dict[int, Outcome] = field(default_factory=dict)
    failed: dict[int, Outcome] = field(default_factory=dict)
    disturbed: int = 0
    worst_stall: float = 0.0
    full: int | None = None

    async def trial(self, calls: int) -> Verdict:
        outcome = await self.kind.run(calls, _PLAN, uvloop=self.uvloop, witness=True)
        print(
            f"  {self.kind.subject} {loop_name(self.uvloop)} {told(calls, outcome)}",
            file=sys.stderr,
            flush=True,
        )
        if outcome.lost == 0 and outcome.p99 <= _LIMIT_MS:
            self.passed[calls] = outcome
            return Verdict.PASSED
        if outcome.stalled > _STALL_MS:
            self.disturbed += 1
            self.worst_stall = max(self.worst_stall, outcome.stalled)
            return Verdict.DISTURBED
        if outcome.is_generator_full:
            self.full = calls
        self.failed[calls] = outcome
        return Verdict.FAILED

    async def passes(self, calls: int) -> bool:
        return await repeated(lambda: self.trial(calls))


def told(calls: int, outcome: Outcome) -> str:
    """A trial in words."""
    thinned = ", thinned" if outcome.thinned else ""
    return (
        f"{calls}: p99 {outcome.p99:.1f} ms, {outcome.lost} lost, {outcome.us_per_frame:.0f} us, "
        f"{outcome.share:.0%} CPU{thinned}, generator {outcome.load['cpu']:.0%}, "
        f"the machine at most {outcome.stalled:.0f} ms late"
    )


async def _rows(kind: Kind, uvloop: bool) -> list[Row]:
    search = _Search(kind, uvloop)
    best = await highest(search.passes, _FIRST, _MOST, _GRAIN)
    over = round(best * _OVER)
    bare = await kind.bare(best or _FIRST, _PLAN, uvloop=uvloop)
    budget = _BUDGETS[kind] if uvloop else None
    parts = [str(best)]
    if best in search.passed:
        parts.append(f"({told(best, search.passed[best])})")
    worse = [calls for calls in search.failed if calls > best]
    if worse:
        parts.append(f"; {told(min(worse), search.failed[min(worse)])}")
    if search.full is not None:
        parts.append(f"; at {search.full} the generator was full: it may be more")
    if search.disturbed:
        parts.append(
            f"; {search.disturbed} trials repeated: the machine stood still for up to "
            f"{search.worst_stall:.0f} ms"
        )
    ratio = "" if not best else f": {search.passed[best].us_per_frame / bare.us_per_frame:.2f} times"
    rows = [
        Row(
            f"calls on one core, {loop_name(uvloop)}, {kind.title}: p99 within {_LIMIT_MS:.0f} ms, none lost",
            "" if budget is None else str(budget),
            " ".join(parts),
            f"bare websockets, {told(best or _FIRST, bare)}{ratio}",
            None if budget is None else best >= budget,
        )
    ]
    if best and uvloop == loops()[0]:
        beyond = await kind.run(over, _LONG, uvloop=uvloop, witness=True)
        rows.append(
            Row(f"the same at {_OVER:.0%} of that", "none lost", told(over, beyond), "", beyond.lost == 0)
        )
    return rows


async def measure(quick: bool) -> list[Row]:
    """Bisect for each kind of call and of loop; a bare client with one call shares the core all the while."""
    if quick:
        return [skipped("calls on one core", str(_BUDGETS[ECHO]), "not in --quick")]
    rows = []
    for uvloop in loops():
        for kind in (ECHO, HALF) if uvloop == loops()[0] else (ECHO,):
            rows += await _rows(kind, uvloop)
    return rows
