"""Leftovers in the server of pages that joined and left."""

from __future__ import annotations

import asyncio
import contextlib

from bench.browser import Bench, NoBrowserError, bare_agent, browser_bench
from bench.table import Row, skipped

_CYCLES, _WARM_UP = 50, 5
_WHAT = f"browser: left behind by {_CYCLES} pages that joined, spoke and left"
_BUDGET = "no task, thread or descriptor"
_PATIENCE = 15.0
"""Seconds until what ends by itself has ended: ICE, and threads that are kept for the next."""


async def _cycles(bench: Bench, count: int) -> None:
    for _ in range(count):
        async with bench.room() as room:
            agent = await bench.client.create_agent(room)
            async with bare_agent(agent) as heard, bench.joined(room) as page:
                await page.until_event("trackReady")
                await asyncio.wait_for(asyncio.shield(heard), 10)
                await page.call("leave")


async def measure(quick: bool) -> list[Row]:
    """Counts in the server's process before and after."""
    cycles = 1 if quick else _CYCLES
    try:
        async with browser_bench() as bench:
            await _cycles(bench, 1 if quick else _WARM_UP)
            await asyncio.sleep(1.0)
            before = await bench.fishjam.ask(5.0, do="holds")
            await _cycles(bench, cycles)
            after = before
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    while True:
                        after = await bench.fishjam.ask(5.0, do="holds")
                        if all(after[name] <= before[name] for name in before):
                            break
                        await asyncio.sleep(0.5)
    except NoBrowserError as reason:
        return [skipped(_WHAT, _BUDGET, str(reason))]
    more = {name: after[name] - before[name] for name in before}
    said = ", ".join(f"{more[name]:+d} {name}" for name in ("tasks", "threads", "descriptors"))
    return [Row(_WHAT, _BUDGET, said, "", all(value <= 0 for value in more.values()))]
