"""Voices on this machine: how soon they sound, and how soon they are free when they are spoken over."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from fishjam_agents_local.kokoro import Kokoro
from fishjam_agents_local.piper import Piper

from bench.table import Row, percentile, skipped
from fishjam_agents.backends.cascade.espeak import Espeak
from fishjam_agents.errors import FishjamAgentsError

_STOP_MS = 50.0
_WAIT = 300.0
_SENTENCES = {
    "1 word": "Certainly.",
    "7 words": "We are open from nine to five.",
    "27 words, cut at commas": "I have booked a table for two people, on Friday at half past seven, "
    "and I have put it under your name, so you need not call.",
}
_LONG = "We are open from nine in the morning until ten in the evening on every day of the week but Monday"
_INTO_IT = 0.1
"""Seconds after which a sentence is spoken over."""


async def measure(quick: bool) -> list[Row]:
    """With the default voice of each, as far as they are installed."""
    rows = []
    async with asyncio.timeout(_WAIT):
        # Where the figures mean nothing, the slowest is left out.
        for name, part, times in (("piper", Piper(), 20), ("espeak", Espeak(), 20), ("kokoro", Kokoro(), 4))[
            : 2 if quick else 3
        ]:
            try:
                part.check()
                await asyncio.to_thread(part.preload)
            except FishjamAgentsError as error:
                rows.append(skipped(f"voices: {name}", "", str(error)))
                continue
            rows += await _voice(name, part, 1 if quick else times)
    return rows


async def _voice(name: str, part: Any, times: int) -> list[Row]:
    async with AsyncExitStack() as call:
        voice = await call.enter_async_context(part.connect())
        shown, rates = [], []
        for what, text in _SENTENCES.items():
            firsts = []
            for _ in range(times):
                first, whole, seconds = await _spoken(voice, text)
                firsts.append(1000 * first)
                rates.append(whole / seconds)
            shown.append(f"{what}: {_of(firsts)}")
        free = [1000 * await _interrupted(voice) for _ in range(times)]
    return [
        Row(
            f"voices: {name}, asked to first sound",
            "",
            "; ".join(shown),
            f"a second of speech takes {statistics.median(rates):.2f} s",
        ),
        Row(
            f"voices: {name}, spoken over to free for the next sentence",
            f"{_STOP_MS:g} ms",
            f"{_of(free)}, worst {max(free):.1f} ms ({times} times)",
            within=percentile(free, 95) <= _STOP_MS,
        ),
    ]


async def _spoken(voice: Any, text: str) -> tuple[float, float, float]:
    """Seconds to the first sound, to the last, and of sound."""
    begun = time.perf_counter()
    first, length = 0.0, 0
    async with aclosing(voice.speak(text)) as pieces:
        async for piece in pieces:
            first = first or time.perf_counter() - begun
            length += len(piece)
    return first, time.perf_counter() - begun, length / 2 / voice.sample_rate


async def _interrupted(voice: Any) -> float:
    """Seconds from the close of a sentence that is being made until its voice takes the next one."""
    pieces = voice.speak(_LONG)
    asked = asyncio.ensure_future(_all(pieces))
    await asyncio.sleep(_INTO_IT)
    closed = time.perf_counter()
    asked.cancel()
    await asyncio.wait([asked])
    await pieces.aclose()
    await _rest(voice)()
    return time.perf_counter() - closed


async def _all(pieces: Any) -> None:
    async for _ in pieces:
        pass


def _rest(voice: Any) -> Callable[[], Awaitable[object]]:
    """Return what waits until a voice has nothing to do: its thread takes the next job."""
    call = getattr(voice, "_call", None)
    if call is None:
        # A process for each sentence, whose end was waited for.
        return lambda: asyncio.sleep(0)
    return lambda: call.run(lambda _: None)


def _of(took: Sequence[float]) -> str:
    return f"median {statistics.median(took):.0f}, p95 {percentile(took, 95):.0f} ms"
