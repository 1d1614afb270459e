"""Cost of a call as their number grows: a table, and the plot of docs/pictures/curve.svg."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

from bench.kinds import BARE, ECHO, HALF, MIX, Kind, loop_name, loops
from bench.machine import ROOT
from bench.plot import Line, Panel, svg
from bench.run import Outcome, Plan
from bench.table import Row

PICTURE = ROOT / "docs" / "pictures" / "curve.svg"
CALLS = (1, 10, 50, 100, 200, 300, 400, 500)
_KINDS = (ECHO, HALF, MIX, BARE)
_PLAN = Plan(1.0, 1.5)
_LIMIT_MS = 50.0
_BUDGET_CALLS, _BUDGET_TIMES = 400, 2.5
_WHOLE = Plan(1.0, 8.0)
"""All that a call has that goes on half of the time in each direction."""
_HOPELESS_MS, _FULL = 300.0, 0.9

Curve = Mapping[int, Outcome]


async def measure(quick: bool) -> list[Row]:
    """All kinds of calls in turn at each number, on each kind of loop; the plot replaces the last one."""
    calls, plan = ((2,), Plan(0.2, 0.3)) if quick else (CALLS, _PLAN)
    rows: list[Row] = []
    curves: dict[tuple[Kind, bool], dict[int, Outcome]] = {}
    ended: set[tuple[Kind, bool]] = set()
    for uvloop in loops()[:1] if quick else loops():
        for number in calls:
            for kind in _KINDS:
                curve = curves.setdefault((kind, uvloop), {})
                if (kind, uvloop) in ended:
                    continue
                # Few bots that speak half of the time may all be listening for a while.
                longer = _WHOLE if kind is HALF and number < 10 and not quick else plan
                name = f"  {kind.subject} {loop_name(uvloop)} {number}"
                try:
                    curve[number] = outcome = await kind.run(number, longer, uvloop=uvloop)
                except RuntimeError as error:
                    # So far beyond its capacity that it does not even say so; what was measured counts.
                    print(f"{name}: {error}", file=sys.stderr, flush=True)
                    ended.add((kind, uvloop))
                    continue
                print(f"{name}: {_told(outcome)}", file=sys.stderr, flush=True)
                if _is_full(outcome):
                    ended.add((kind, uvloop))
            rows.append(_row(number, uvloop, {kind: curves[kind, uvloop] for kind in _KINDS}))
    if not quick:
        PICTURE.write_text(_picture(curves), encoding="utf-8")
    return rows


def _is_full(outcome: Outcome) -> bool:
    """Return whether the core is full, so that more calls would only show how long it was measured."""
    # On a machine that does other things the core is full before the process has had all of it.
    return outcome.p99 > _HOPELESS_MS and (outcome.share > _FULL or outcome.lost > 0)


def _told(outcome: Outcome) -> str:
    late = f"p99 {outcome.p99:.1f} ms" if math.isfinite(outcome.p99) else "no answer"
    lost = f", {outcome.lost} lost" if outcome.lost else ""
    full = ", the generator full" if outcome.is_generator_full else ""
    return f"{outcome.us_per_frame:.0f} us, {late}{lost}{full}"


def _row(calls: int, uvloop: bool, curves: Mapping[Kind, Curve]) -> Row:
    measured = "; ".join(
        f"{kind.title}: {_told(curves[kind][calls])}" for kind in (ECHO, HALF, MIX) if calls in curves[kind]
    )
    bare, echo = curves[BARE].get(calls), curves[ECHO].get(calls)
    budgeted = calls == _BUDGET_CALLS and uvloop
    # What was not measured any more has not kept it.
    reference, within = "", False if budgeted else None
    if bare is not None:
        reference = f"{BARE.title} {_told(bare)}"
    if bare is not None and echo is not None:
        times = echo.us_per_frame / bare.us_per_frame
        reference += f": {times:.2f} times"
        if budgeted:
            within = times <= _BUDGET_TIMES and echo.p99 <= _LIMIT_MS and echo.lost == 0
    return Row(
        f"20 ms of a call, {calls} call{'s' * (calls > 1)}, {loop_name(uvloop)}",
        f"{_BUDGET_TIMES:g} times, p99 {_LIMIT_MS:g} ms, none lost" if budgeted else "",
        measured or "not measured: fewer calls fill the core",
        reference,
        within,
    )


def _picture(curves: Mapping[tuple[Kind, bool], Curve]) -> str:
    def lines(value: str) -> list[Line]:
        return [
            Line(
                kind.title, not uvloop, [(calls, getattr(outcome, value)) for calls, outcome in curve.items()]
            )
            for (kind, uvloop), curve in curves.items()
        ]

    dashed = "dashed: asyncio's own loop, else uvloop; " if len(loops()) > 1 else ""
    return svg(
        "CPU and added latency of a call as their number grows, in one process on one core",
        f"{dashed}dotted: 50 ms. A line ends where the core is full.",
        [
            Panel("CPU for 20 ms of a call, us", lines("us_per_frame"), 10, 2000),
            Panel("added latency of the slowest 1 % of frames, ms", lines("p99"), 1, 1000, _LIMIT_MS),
        ],
        CALLS,
    )
