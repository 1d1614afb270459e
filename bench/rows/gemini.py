"""Cost of the Gemini backend beside Google's bare client, and the delay of its audio to the room."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from typing import Any

from bench.table import Row, percentile, skipped, spread
from fishjam_agents import AgentPipeline
from fishjam_agents.testing import MemoryRoom, MemorySession, MemoryTrack

_WAIT = 120.0
_TURNS = 12


async def measure(quick: bool) -> list[Row]:
    """Both against the emulator of `fishjam_agents_gemini`, over TLS on this machine."""
    return [await _cpu(quick), await _first_audio(2 if quick else 100)]


async def _cpu(quick: bool) -> Row:
    what = "Gemini: CPU per 20 ms in or out, one call"
    if quick:
        return skipped(what, "", "not in --quick")
    ours, bare = [await _exchange(which) for which in ("ours", "bare")]
    return Row(
        what,
        "",
        spread(ours, 0, "us"),
        f"bare google-genai, the same exchange: {spread(bare, 0, 'us')}",
    )


async def _exchange(which: str) -> list[float]:
    emulator = (sys.executable, "-m", "fishjam_agents_gemini.emulator", sys.executable)
    process = await asyncio.create_subprocess_exec(
        *emulator, "-m", "bench.gemini_exchange", which, str(_TURNS), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_WAIT):
        output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the exchange {which} failed: see above")
    costs: list[float] = json.loads(output)
    return costs


async def _first_audio(replies: int) -> Row:
    from fishjam_agents_gemini import Gemini
    from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Request, tone

    given: list[float] = []
    sent: list[float] = []

    class Session(MemorySession):
        async def add_track(self, options: Any) -> MemoryTrack:
            track = await super().add_track(options)
            send = track.send_chunk

            async def send_chunk(data: bytes) -> None:
                if len(sent) < len(given):
                    sent.append(time.perf_counter())
                await send(data)

            track.send_chunk = send_chunk  # type: ignore[method-assign]
            return track

    async def answer(connection: Connection, request: Request) -> None:
        given.append(time.perf_counter())
        await connection.send_audio(tone(0.04))
        await connection.finish_turn()

    class Bot(AgentPipeline):
        backend = Gemini()

    bare: list[float] = []
    async with asyncio.timeout(_WAIT), GeminiEmulator(answer) as emulator:
        os.environ.update(emulator.environment)
        bot = Bot()
        async with MemoryRoom(session=Session) as room:
            running = asyncio.create_task(bot.run(room.session, room=room))
            await emulator.connection(0)
            for number in range(replies):
                bot.send_text("next")
                while len(sent) <= number:  # noqa: ASYNC110 - no event tells of the first chunk
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.15)
            bot.stop()
            await running
        ours = [1000 * (out - into) for into, out in zip(given, sent, strict=True)]
        bare = await _bare(replies, given)
    return Row(
        "Gemini: first audio from the service to `send_chunk`, TLS and the service's own work included",
        "",
        f"p99 {percentile(ours, 99):.2f}, median {statistics.median(ours):.2f} ms ({len(ours)} replies)",
        f"bare google-genai to its message: p99 {percentile(bare, 99):.2f}, "
        f"median {statistics.median(bare):.2f} ms",
    )


async def _bare(replies: int, given: list[float]) -> list[float]:
    from google import genai

    given.clear()
    delays = []
    async with genai.Client().aio.live.connect(model="gemini-3.8-live") as session:
        for _ in range(replies):
            await session.send_realtime_input(text="next")
            first = True
            async for message in session.receive():
                if first and message.server_content is not None and message.server_content.model_turn:
                    delays.append(1000 * (time.perf_counter() - given[-1]))
                    first = False
            await asyncio.sleep(0.15)
    return delays
