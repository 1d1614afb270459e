"""A frame on its way through the pipeline, without sockets: what the code costs, everything in the cache.

The figure to watch when the hot path changes: no second process, and little of the load of the machine in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from bench import sounds
from bench.bots import Echo, Listener
from bench.table import Row, spread
from fishjam_agents.audio.formats import FRAME_SECONDS, AudioFormat
from fishjam_agents.backends.port import Backend
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.process_load import ProcessLoad
from fishjam_agents.protocol import Track, TrackType
from fishjam_agents.protocol.messages import TrackData
from fishjam_agents.testing import VirtualClock
from fishjam_agents.turns.settings import TurnSettings

_CALLS = 100


class _Track:
    id = "bot"

    async def send_chunk(self, data: bytes) -> None:
        """Nobody hears it."""

    async def interrupt(self) -> None:
        """Nobody heard it."""


class _Session:
    """A room that hands over what `hear` is given."""

    def __init__(self) -> None:
        self.hear: Callable[[Any], None]
        self.over = asyncio.Event()

    async def listen(self, take: Callable[[Any], None]) -> None:
        self.hear = take
        await self.over.wait()

    async def receive(self) -> AsyncIterator[Any]:
        raise NotImplementedError
        yield

    async def add_track(self, options: Any) -> _Track:
        return _Track()

    async def capture_image(self, track_id: str) -> None:
        """Nobody has a camera."""


def _bot(backend: Backend) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = backend
    bot.turns = TurnSettings(mode="backend", silence_locally=False)
    return bot


async def _calls(backend: Backend, frames: list[bytes], rounds: int, *, thinned: bool = False) -> list[float]:
    """CPU of each round of frames, one for each call, in microseconds per frame."""
    ProcessLoad.shared().thinning.active = thinned
    sessions = [_Session() for _ in range(_CALLS)]
    bots = [_bot(backend) for _ in sessions]
    room = AudioFormat(sounds.RATE)
    running = [
        asyncio.create_task(bot.run(session, input_format=room))
        for bot, session in zip(bots, sessions, strict=True)
    ]
    await asyncio.sleep(0.5)
    tracks = [Track(f"track-{number}", TrackType.AUDIO, "{}") for number in range(_CALLS)]
    took = []
    for turn in range(rounds):
        begun = time.thread_time()
        for number, (session, track) in enumerate(zip(sessions, tracks, strict=True)):
            # Every call is at another place of the conversation, as in life.
            session.hear(TrackData("caller", track, frames[(turn + 7 * number) % len(frames)]))
        await asyncio.sleep(FRAME_SECONDS)
        took.append(1e6 * (time.thread_time() - begun) / _CALLS)
    for bot, session in zip(bots, sessions, strict=True):
        bot.stop()
        session.over.set()
    await asyncio.gather(*running)
    # The first rounds open microphones and find the echo's delay.
    return took[rounds // 3 :]


async def measure(quick: bool) -> list[Row]:
    """A bot that listens, and one that speaks all the while: the echo guard is then at work as well.

    Then one at whose microphones nobody speaks, as ever and in a process near its capacity.
    """
    rounds = 9 if quick else 240
    spoken, silent = sounds.conversation(), sounds.quiet()
    rows = []
    for what, backend, frames, thinned in (
        ("the bot listens", Listener(), spoken, False),
        ("the bot speaks", Echo(), spoken, False),
        ("all are silent", Listener(), silent, False),
        ("all are silent, detection thinned", Listener(), silent, True),
    ):
        # A loop of its own, in a thread of its own, because time is virtual in it.
        took = await asyncio.to_thread(VirtualClock().run, _calls(backend, frames, rounds, thinned=thinned))
        rows.append(
            Row(f"a frame without sockets, {_CALLS} calls, {what}", "", spread(_tenths(took), 0, "us"))
        )
    return rows


def _tenths(took: list[float]) -> list[float]:
    """Median and range that one disturbed round does not decide: the 50th, 10th and 90th percentile."""
    ordered = sorted(took)
    return [ordered[len(ordered) * tenth // 10] for tenth in (1, 5, 9)]
