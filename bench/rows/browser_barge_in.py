"""From the onset of a word in a page to the last that the page plays of the bot."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np

from bench.bots import make_bot
from bench.browser import Bench, NoBrowserError, browser_bench
from bench.table import Row, skipped
from fishjam_agents.worker.settings import RoomSettings
from fishjam_agents.worker.worker import Worker
from tests.browser.sounds import RATE, Signal, level, words

_WHAT = "browser: onset of a word to the bot inaudible in the page"
_BUDGET_MS = 200.0
_BUDGET = f"median {_BUDGET_MS:g} ms"
_RUNS = 8
_SPEAKING = 2.0
"""Seconds that the bot has spoken before it is spoken over."""
_WINDOW = RATE // 200
_INAUDIBLE = -60.0
"""dB below full scale; the bot has -30."""
_SILENCE = 0.15
"""Seconds of it that are no dip in the bot's noise."""


def _silent_after(sound: Signal) -> float | None:
    """Milliseconds until the sound is inaudible, None if it never is."""
    windows = len(sound) // _WINDOW
    levels = [level(sound[n * _WINDOW : (n + 1) * _WINDOW]) for n in range(windows)]
    quiet = np.asarray(levels) < _INAUDIBLE
    needed = round(_SILENCE * RATE / _WINDOW)
    for n in range(windows - needed):
        if quiet[n : n + needed].all():
            return 1000 * n * _WINDOW / RATE
    return None


async def _interrupted(bench: Bench, run: int) -> float:
    bot = make_bot("talk")
    async with bench.room() as room, bench.joined(room) as page:
        worker = Worker(
            bot,
            fishjam_id=bench.client.url,
            management_token=bench.token,
            room=RoomSettings(id=room),
        )
        working = asyncio.create_task(worker.run())
        try:
            await page.until_event("trackReady")
            (speaker,) = await page.peers()
            # Any phase of a frame.
            await asyncio.sleep(_SPEAKING + run * 0.02 / _RUNS)
            said = await page.say(words("bob_numbers.wav"))
            await asyncio.sleep(1.5)
            recording = await page.recording()
        finally:
            worker.stop()
            await working
    before = recording.part(speaker, said.begin - RATE // 4, 0.25)
    if level(before) < -40:
        raise RuntimeError(f"the bot was not heard before it was spoken over: {level(before):.0f} dB")
    silent = _silent_after(recording.part(speaker, said.begin, 1.2))
    if silent is None:
        raise RuntimeError("the bot was still heard 1.2 s after it was spoken over")
    return silent


async def measure(quick: bool) -> list[Row]:
    """Calls of their own, in each of which a page speaks over a bot that never ends."""
    try:
        async with browser_bench() as bench:
            delays = [await _interrupted(bench, run) for run in range(1 if quick else _RUNS)]
    except NoBrowserError as reason:
        return [skipped(_WHAT, _BUDGET, str(reason))]
    median = statistics.median(delays)
    return [
        Row(
            _WHAT,
            _BUDGET,
            f"median {median:.0f}, worst {max(delays):.0f} ms ({len(delays)} calls)",
            "",
            median <= _BUDGET_MS,
        )
    ]
