"""Number of calls that one core carries."""

from __future__ import annotations

from bench.run import Outcome, Plan, run
from bench.table import Row, percentile, skipped

_WHAT = "calls on one core, p99 added latency within 50 ms, none lost"
_BUDGET = 250
_STEPS = (50, 100, 150, 200, 250, 300)
_LIMIT_MS = 50.0
_TRIES = 2
"""A shared machine stalls now and then, and paced audio never catches up with a stall: a step that fails
once is tried again."""


def _p99(outcome: Outcome) -> float:
    delays = outcome.load["delays_ms"]
    return percentile(delays, 99) if delays else float("inf")


async def _passes(calls: int, plan: Plan) -> tuple[bool, str]:
    said = ""
    for _ in range(_TRIES):
        outcome = await run("echo", calls, plan)
        passed = outcome.lost == 0 and _p99(outcome) <= _LIMIT_MS
        said = (
            f"{calls}: p99 {_p99(outcome):.1f} ms, {outcome.lost} lost, {outcome.cpu / plan.seconds:.0%} CPU"
        )
        if passed:
            return True, said
    return False, said


async def measure(quick: bool) -> list[Row]:
    """Step up until the echo of the slowest 1 % of frames comes 50 ms late, or frames are lost."""
    if quick:
        return [skipped(_WHAT, str(_BUDGET), "not in --quick")]
    plan = Plan(1.5, 3.0)
    best = 0
    passed, failed = "", ""
    for calls in _STEPS:
        ok, said = await _passes(calls, plan)
        if not ok:
            failed = f"; {said}"
            break
        best, passed = calls, f" ({said})"
    bare = await run("bare", best or _STEPS[0], plan)
    return [
        Row(
            _WHAT,
            str(_BUDGET),
            f"{best}{passed}{failed}",
            f"bare websockets at {best or _STEPS[0]}: p99 {_p99(bare):.1f} ms, "
            f"{bare.cpu / plan.seconds:.0%} CPU",
            best >= _BUDGET,
        )
    ]
