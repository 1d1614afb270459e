"""Time from page load to the room, and from there to an agent."""

from __future__ import annotations

import asyncio

from bench.browser import Bench, NoBrowserError, bare_agent, browser_bench
from bench.table import Row, skipped, spread

_LOADED_MS, _HEARD_MS = 150.0, 350.0
_LOADED = "browser: page load to joined"
_HEARD = "browser: authenticated to its first sound at an agent"
_RUNS = 9


async def _loaded(bench: Bench) -> float:
    """Milliseconds from the beginning of the navigation to `joined`, of a page that joins at once."""
    async with bench.room() as room:
        _, token = await bench.client.create_peer(room)
        async with bench.page("ts", bench.client.url, token=token) as page:
            return float((await page.until_event("joined"))["at"])


async def _heard(bench: Bench) -> float:
    """Milliseconds from `authSuccess` in the page to the first chunk at an agent, both by the wall clock."""
    async with bench.room() as room:
        agent = await bench.client.create_agent(room)
        _, token = await bench.client.create_peer(room)
        async with bare_agent(agent, echo=False) as heard, bench.page("ts", bench.client.url) as page:
            script = "async (options) => { await app.join(options); await app.publish(); }"
            await page.page.evaluate(script, {"url": bench.client.url, "token": token})
            at = 1000 * await asyncio.wait_for(heard, 10)
            authenticated = await page.until_event("authSuccess")
            return at - float(await page.page.evaluate("performance.timeOrigin")) - authenticated["at"]


async def measure(quick: bool) -> list[Row]:
    """New pages of the ts-client, one after the other, in rooms of their own."""
    runs = 1 if quick else _RUNS
    try:
        async with browser_bench() as bench:
            # The first page pays for what Chromium and the server load once.
            await _heard(bench)
            loaded = [await _loaded(bench) for _ in range(runs)]
            heard = [await _heard(bench) for _ in range(runs)]
    except NoBrowserError as reason:
        return [
            skipped(_LOADED, f"median {_LOADED_MS:g} ms", str(reason)),
            skipped(_HEARD, f"median {_HEARD_MS:g} ms", str(reason)),
        ]
    return [_row(_LOADED, _LOADED_MS, loaded), _row(_HEARD, _HEARD_MS, heard)]


def _row(what: str, budget: float, measured: list[float]) -> Row:
    median = sorted(measured)[len(measured) // 2]
    return Row(what, f"median {budget:g} ms", spread(measured, 0, "ms"), "", median <= budget)
