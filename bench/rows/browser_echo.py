"""From a page's microphone through a bare agent back to the page, beside bare aiortc with the same buffer."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np

from bench.browser import Bench, NoBrowserError, bare_agent, browser_bench
from bench.table import Row, skipped, spread
from fishjam_agents.audio.samples import Samples
from tests.browser.client_page import ClientPage
from tests.browser.sounds import RATE, similarity

_WHAT = "browser: a page's sound back in the page, through a bare agent"
_MORE_MS = 30.0
_BUDGET = f"bare aiortc + {_MORE_MS:g} ms"
_RUNS, _CHIRPS = 3, 8
_EVERY = 0.53
"""Seconds between two chirps: not a multiple of 20 ms, so that they meet any phase of a frame."""
_SETTLE = 3.0
"""Seconds until Chromium's own buffer has found its length."""


def _chirp() -> Samples:
    at = np.arange(round(0.04 * RATE)) / RATE
    sweep = np.sin(2 * np.pi * (500 * at + 3500 / 0.04 * at * at / 2))
    return np.asarray(8000 * np.hanning(len(at)) * sweep, np.int16)


async def _delays(page: ClientPage, track: str, chirps: int, settle: float) -> list[float]:
    """Milliseconds from the page's microphone to what it hears on a track, once for each chirp."""
    await asyncio.sleep(settle)
    chirp, said = _chirp(), []
    for _ in range(chirps):
        said.append(await page.say(chirp))
        await asyncio.sleep(_EVERY)
    recording = await page.recording()
    delays = []
    for sound in said:
        alike, delay = similarity(chirp, recording.part(track, sound.begin, _EVERY))
        if alike > 0.7:
            delays.append(1000 * delay / RATE)
    if len(delays) < chirps * 0.7:
        raise RuntimeError(f"{chirps - len(delays)} of {chirps} chirps were not heard again")
    return delays


async def _ours(bench: Bench, chirps: int, settle: float) -> list[float]:
    async with bench.room() as room:
        agent = await bench.client.create_agent(room)
        async with bare_agent(agent), bench.joined(room) as page:
            await page.until_event("trackReady")
            return await _delays(page, agent.id, chirps, settle)


async def _bare(bench: Bench, chirps: int, settle: float) -> list[float]:
    async with bench.bare_page() as page:
        return await _delays(page, "echo", chirps, settle)


async def measure(quick: bool) -> list[Row]:
    """Chirps, in new pages in turn."""
    runs, chirps, settle = (1, 3, 0.5) if quick else (_RUNS, _CHIRPS, _SETTLE)
    ours: list[float] = []
    bare: list[float] = []
    try:
        async with browser_bench() as bench:
            for _ in range(runs):
                bare += await _bare(bench, chirps, settle)
                ours += await _ours(bench, chirps, settle)
    except NoBrowserError as reason:
        return [skipped(_WHAT, _BUDGET, str(reason))]
    more = statistics.median(ours) - statistics.median(bare)
    return [
        Row(
            _WHAT,
            _BUDGET,
            f"{more:+.0f} ms: {spread(ours, 0, 'ms')}",
            f"bare aiortc, same receive buffer: {spread(bare, 0, 'ms')}",
            more <= _MORE_MS,
        )
    ]
