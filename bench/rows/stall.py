"""Return to normal of many calls after their loop has stood still for 300 ms."""

from __future__ import annotations

import asyncio
import statistics

from bench.child import child
from bench.kinds import HALF, loops
from bench.machine import split_cores
from bench.table import Row, spread
from fishjam_agents.playout.settings import PlayoutSettings

_CALLS = 80
_STALL, _RUNS = 0.3, 5
_BUDGET_MS = 1000.0


async def measure(quick: bool) -> list[Row]:
    """Stall a process of calls several times; bots speak half of the time."""
    calls, runs = (5, 1) if quick else (_CALLS, _RUNS)
    back: list[float] = []
    ahead: list[float] = []
    async with child("generator", sound=HALF.sound) as generator:
        ports = await generator.hear(20.0)
        own, others = split_cores()
        generator.keep_to(others)
        more = {"uvloop": loops()[0], "sound": HALF.sound, **ports}
        async with child("subject", kind=HALF.subject, calls=calls, **more) as subject:
            await subject.hear(20.0 + calls * 0.05)
            subject.keep_to(own)
            await generator.ask(5.0, do="start")
            for _ in range(runs):
                await asyncio.sleep(0.5 if quick else 2.0)
                counting = asyncio.create_task(generator.ask(20.0, do="measure", seconds=1.5))
                await asyncio.sleep(0.2)
                stalled = await subject.ask(20.0, do="stall", seconds=_STALL)
                back.append(1000 * stalled["back"])
                ahead.append((await counting)["ahead_ms"])
    most = 1000 * PlayoutSettings().max_lead
    return [
        Row(
            f"a stall of {1000 * _STALL:.0f} ms, {calls} calls, bots speak half of the time: on time again",
            f"{_BUDGET_MS:.0f} ms, no burst",
            f"{spread(back, 0, 'ms')} later; at most {max(ahead):.0f} ms sent ahead, "
            f"where playout.max_lead is {most:.0f}",
            "",
            statistics.median(back) <= _BUDGET_MS and max(ahead) <= most + 40,
        )
    ]
