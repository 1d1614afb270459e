"""Delay that is ours between a service's final transcript and the words in the hands of who wants them."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.live import LiveTranscription

from bench.table import Row, percentile
from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LanguageModel, LLMChunk, Message
from fishjam_agents.backends.cascade.espeak import Espeak
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.events import Turn

_BUDGET_MS = 30.0
_WAIT = 120.0
_WARM = 3
"""Turns that are not counted."""
_RECOGNISER = 0.05
"""Seconds that the emulated recogniser takes for what was not understood before the end."""
_FRAME = np.random.default_rng(1).integers(-8000, 8000, 320).astype(np.int16)
_FRAMES = 50
"""A second, in real time."""


class _Mute(LanguageModel):
    """Answers nothing: what is measured is over by then."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[port.ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        yield ""


async def measure(quick: bool) -> list[Row]:
    """Against the emulated session of `fishjam_agents_openai`, in this process, through the real client."""
    async with asyncio.timeout(_WAIT):
        return [await _words(2 if quick else 40)]


async def _words(turns: int) -> Row:
    """Turn by turn: sound in real time, the end, and the final transcript."""
    ours, whole = [], []
    loop = asyncio.get_running_loop()
    async with RealtimeEmulator() as server, _link(server) as (link, told):
        for number in range(turns + _WARM):
            # The last words come when the turn has ended, as from a service that is not through before.
            server.transcripts.append(["How ", "are ", _RECOGNISER, "you?"])
            start = float(2 * number)
            link.put(port.TurnStartedInput("ann", start, start))
            for _ in range(_FRAMES):
                link.put(port.AudioInput("ann", _FRAME, 0.02, speech=True))
                await asyncio.sleep(0.02)
            ended = loop.time()
            link.put(port.TurnEndedInput(Turn(f"turn-{number}", "ann", "mic", start, start + 1.0)))
            await _until(lambda number=number: len(told) > number)
            ours.append(1000 * (told[number] - server.completed[number]))
            whole.append(1000 * (told[number] - ended))
    ours, whole = ours[_WARM:], whole[_WARM:]
    return Row(
        "streaming transcript: sent by the service to final words in our hands",
        f"{_BUDGET_MS:g} ms",
        f"median {statistics.median(ours):.1f}, p99 {percentile(ours, 99):.1f} ms ({len(ours)} turns)",
        f"last word spoken to final words: median {statistics.median(whole):.1f} ms, "
        f"of which the emulated recogniser takes {1000 * _RECOGNISER:.0f}",
        percentile(ours, 99) <= _BUDGET_MS,
    )


@contextlib.asynccontextmanager
async def _link(server: RealtimeEmulator) -> AsyncIterator[tuple[BackendLink, list[float]]]:
    """A cascade behind the pipeline's own link, and when its final transcripts came."""
    told: list[float] = []
    loop = asyncio.get_running_loop()

    def take(event: port.BackendEvent) -> None:
        if isinstance(event, port.UserTranscript) and event.final:
            told.append(loop.time())

    cascade = Cascade([LiveTranscription(base_url=server.base_url)], [_Mute()], [Espeak()])
    link = BackendLink(cascade, "bench", take, lambda seconds: None)
    running = asyncio.create_task(link.run())
    try:
        await link.connected.wait()
        await _until(lambda: bool(server.open))
        yield link, told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for is on the other side of a socket
        await asyncio.sleep(0.002)
