"""CPU per frame, in and out, against plain `websockets` at the same number of calls."""

from __future__ import annotations

import statistics
from importlib.util import find_spec

from bench.run import Plan, run
from bench.table import Row, spread

_BUDGET_US, _BARE_US = 150.0, 105.0
"""The design's budget at 10 calls, and what bare websockets took on the machine it was set on."""


async def _pair(calls: int, repetitions: int, plan: Plan, *, uvloop: bool = False) -> Row:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(repetitions):
        bare.append((await run("bare", calls, plan, uvloop=uvloop)).us_per_frame)
        ours.append((await run("echo", calls, plan, uvloop=uvloop)).us_per_frame)
    ratio = statistics.median(ours) / statistics.median(bare)
    more = statistics.median(ours) - statistics.median(bare)
    allowed = _BUDGET_US / _BARE_US
    budgeted = calls == 10 and not uvloop
    return Row(
        f"CPU per 20 ms in + out, VAD on, {calls} call{'s' * (calls > 1)}{', uvloop' * uvloop}",
        f"{_BUDGET_US:.0f} us where bare takes {_BARE_US:.0f}: {allowed:.2f} times" if budgeted else "",
        spread(ours, 0, "us"),
        f"bare websockets {spread(bare, 0, 'us')}: {ratio:.2f} times, {more:+.0f} us",
        ratio <= allowed if budgeted else None,
    )


async def measure(quick: bool) -> list[Row]:
    """1, 10 and 100 calls; 10 again with uvloop where it is installed."""
    if quick:
        return [await _pair(10, 1, Plan(0.1, 0.3))]
    rows = [await _pair(calls, 3, Plan()) for calls in (1, 10, 100)]
    if find_spec("uvloop") is not None:
        rows.append(await _pair(100, 2, Plan(), uvloop=True))
    return rows
