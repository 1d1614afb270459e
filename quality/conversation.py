"""Whole calls in virtual time: a bot in a room in memory, and one caller whose every sample is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from audio_fixtures.corpus import RATE
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import Backend, BackendContext, BackendInput, Capabilities, InlineSession
from fishjam_agents.events import Event
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.testing import MemoryRoom, VirtualClock
from quality.bench import Bench
from quality.sounds import Rng, at_level, pink
from quality.stream import DecisionLog

_BEGUN = 1.0
"""Seconds of a reply before anything disturbs it."""
_STEP = 80
"""Samples for which `_ramp` holds a value: 5 ms, and 32767 of them are 163 s."""


@dataclass(frozen=True, slots=True)
class Deaf(Backend):
    """A backend that answers nothing: the bot speaks only what it is told to play."""

    capabilities: ClassVar[Capabilities] = Capabilities(input_rate=RATE, output_rate=RATE, cancel=True)

    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session in this process."""
        yield _DeafSession()


class _DeafSession(InlineSession):
    def handle(self, entry: BackendInput) -> None:
        """Nothing is heard."""


class Call:
    """A bot in a room.

    Args:
        bench: Chooses the ears.
        room: Where it happens.

    Attributes:
        bot: The bot.
        room: The room.
        events: Everything that happened. The time of an event is room time.
    """

    def __init__(self, bench: Bench, room: MemoryRoom) -> None:
        self.bot = AgentPipeline()
        self.bot.backend = Deaf()
        self.bot.playout = PlayoutSettings(sample_rate=16000)
        self.bot.turns = bench.vad.turns
        self.bot.hearing = bench.vad.hearing
        self.room = room
        self.events: list[Event] = []
        self.bot.observers.append(self.events.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The bot is in the room."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bot.run(self.room.session, room=self.room))
            await asyncio.sleep(0.5)
            try:
                yield
            finally:
                self.bot.stop()

    def of(self, kind: str) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def tick(self) -> float:
        """Room time at which the next frame of every microphone begins."""
        return int(self.room.now / FRAME_SECONDS + 1e-6) * FRAME_SECONDS

    @property
    def replying(self) -> bool:
        """True while a reply has begun to sound and is not over."""
        return bool(self._replies("reply_first_audio") - self._over)

    @property
    def occupied(self) -> bool:
        """True while there is a reply that sounds, or waits until it may."""
        return bool(self._replies("reply_started") - self._over)

    @property
    def _over(self) -> set[str]:
        return self._replies("reply_ended") | self._replies("reply_interrupted")

    def _replies(self, kind: str) -> set[str]:
        return {event.reply for event in self.of(kind)}


@dataclass(frozen=True, slots=True)
class Trial:
    """A burst over a reply.

    Attributes:
        kind: What it was.
        paused: Whether the bot fell silent.
        resumed: From the end of the burst to the first sample that was played again, seconds; None when
            none was.
        interrupted: Whether it ended the reply.
        skipped: Samples of the reply that were never played because of it.
    """

    kind: str
    paused: bool
    resumed: float | None
    interrupted: bool
    skipped: int


def disturb(bench: Bench, rng: Rng, disturbances: Sequence[tuple[str, Samples]]) -> list[Trial]:
    """Make sounds over one long reply; the room's own noise lies under every second call.

    Args:
        bench: Chooses the ears.
        rng: Chooses the times.
        disturbances: Name and samples of each burst.

    Returns:
        What became of each, in order, up to and with the first that ended the reply.
    """
    tape = DecisionLog()
    tape.wait(_BEGUN)
    for kind, samples in disturbances:
        tape.burst(kind, samples.astype(np.float32), _level(samples))
        tape.wait(rng.uniform(1.6, 2.2))
    bed = at_level(pink(rng, tape.seconds + 0.1), -60.0) if rng.random() < 0.5 else None
    stream = tape.stream(bed)
    reply = _ramp(stream.seconds + 2 * len(disturbances))

    async def scene() -> tuple[float, Samples, Call]:
        async with MemoryRoom(RATE) as room:
            call = Call(bench, room)
            async with call.running():
                caller = room.join("caller")
                await asyncio.sleep(0.5)
                call.bot.play(reply, RATE)
                await asyncio.sleep(0.1)
                zero = call.tick
                await caller.speak(stream.samples)
                await asyncio.sleep(0.5)
            return zero, room.played(), call

    zero, played, call = VirtualClock().run(scene())
    cuts = [event.at for event in call.of("reply_interrupted") if event.at < zero + stream.seconds]
    trials = []
    missed = 0
    for number, label in enumerate(stream.labels):
        begin, end = zero + label.start, zero + label.end
        until = zero + (
            stream.labels[number + 1].start if number + 1 < len(stream.labels) else stream.seconds
        )
        window = played[round(begin * RATE) : round(until * RATE)]
        quiet = np.flatnonzero(window == 0)
        interrupted = any(begin < cut <= until for cut in cuts)
        again = np.flatnonzero(window[quiet[0] :]) if quiet.size else quiet
        resumed = None
        if again.size:
            resumed = (round(begin * RATE) + int(quiet[0]) + int(again[0])) / RATE - end
        missing = missed if interrupted else skipped(played[: round(until * RATE)])
        trials.append(Trial(label.kind, bool(quiet.size), resumed, interrupted, missing - missed))
        missed = missing
        if interrupted:
            break
    return trials


def _level(samples: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) / 32768))


def _ramp(seconds: float) -> Samples:
    """A reply in which every 5 ms have a value of their own, none of them zero."""
    values = np.arange(1, int(seconds * RATE / _STEP) + 1)
    if len(values) > 32767:
        raise ValueError("a reply that numbers its samples lasts at most 163 s: use fewer disturbances")
    ramp: Samples = np.repeat(values, _STEP).astype(np.int16)
    return ramp


def skipped(played: Samples) -> int:
    """Count the samples of the numbered reply (`_ramp`) before the last one played that were not played.

    Fades bring values that were played before, so they hide nothing but by accident.
    """
    heard = np.unique(played[played > 0])
    return 0 if not heard.size else (int(heard[-1]) - len(heard)) * _STEP
