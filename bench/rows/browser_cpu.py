"""CPU of the server for each browser in it, beside bare aiortc."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack

import numpy as np

from bench.browser import Bench, NoBrowserError, bare_agent, browser_bench
from bench.child import Child
from bench.table import Row, skipped, spread
from tests.browser.client_page import ClientPage
from tests.browser.sounds import words

_WHAT = "browser: CPU of the server for each page that speaks and hears"
_TIMES = 1.5
_BUDGET = f"{_TIMES:g} times bare aiortc"
_RUNS, _PAGES = 3, 2
_SECONDS = 8.0


async def _percent(process: Child, pages: list[ClientPage], seconds: float) -> float:
    """Percent of a core that a process takes for each page, all of which speak."""
    speech = np.tile(words("alice_long.wav"), 4)
    for page in pages:
        await page.say(speech)
    await asyncio.sleep(seconds / 8)
    used = await process.ask(seconds + 10, do="cpu", seconds=seconds)
    return 100 * float(used["seconds"]) / seconds / max(len(pages), 1)


async def _ours(bench: Bench, count: int, seconds: float) -> float:
    """Each page in a room of its own, with an agent in another process that sends back what it hears."""
    async with AsyncExitStack() as stack:
        pages = []
        for _ in range(count):
            room = await stack.enter_async_context(bench.room())
            agent = await bench.client.create_agent(room)
            await stack.enter_async_context(bare_agent(agent))
            page = await stack.enter_async_context(bench.joined(room))
            await page.until_event("trackReady")
            pages.append(page)
        return await _percent(bench.fishjam, pages, seconds)


async def _bare(bench: Bench, count: int, seconds: float) -> float:
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(bench.bare_page()) for _ in range(count)]
        return await _percent(bench.bare, pages, seconds)


async def measure(quick: bool) -> list[Row]:
    """The same pages with either server, in turn."""
    runs, count, seconds = (1, 1, 0.5) if quick else (_RUNS, _PAGES, _SECONDS)
    ours: list[float] = []
    bare: list[float] = []
    try:
        async with browser_bench() as bench:
            for _ in range(runs):
                bare.append(await _bare(bench, count, seconds))
                ours.append(await _ours(bench, count, seconds))
    except NoBrowserError as reason:
        return [skipped(_WHAT, _BUDGET, str(reason))]
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        Row(
            _WHAT,
            _BUDGET,
            f"{ratio:.2f} times: {spread(ours, 1)} % of a core ({count} pages)",
            f"bare aiortc {spread(bare, 1)} %",
            ratio <= _TIMES,
        )
    ]
