"""A generator and a measured process together, for some seconds."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.child import child
from bench.machine import split_cores
from bench.table import percentile

_START = 20.0
"""Seconds the children may take to start."""
FULL = 0.9
"""Share of its core from which on the generator may be what is late."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Duration of a run.

    Attributes:
        warm_up: Seconds of load before anything is counted.
        seconds: Seconds that are counted.
    """

    warm_up: float = 1.0
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Measurements of a run.

    Attributes:
        cpu: CPU seconds of the measured process.
        frames: Frames it handled meanwhile, in and out counted as one.
        seconds: How long it was measured.
        load: What the generator counted (`Load.measure`).
        thinned: Whether it thinned the detection of silent microphones at the end.
    """

    cpu: float
    frames: int
    seconds: float
    load: dict[str, Any]
    thinned: bool = False

    @property
    def us_per_frame(self) -> float:
        """Microseconds of CPU per frame in and out."""
        return 1e6 * self.cpu / max(self.frames, 1)

    @property
    def share(self) -> float:
        """Share of its core that the measured process used."""
        return self.cpu / self.seconds

    @property
    def lost(self) -> int:
        """Frames that were not answered."""
        return int(self.load["sent"]) - len(self.load["delays_ms"])

    @property
    def p99(self) -> float:
        """Milliseconds that 99 % of the answers did not exceed, infinite without any."""
        return percentile(self.load["delays_ms"], 99) if self.load["delays_ms"] else math.inf

    @property
    def is_generator_full(self) -> bool:
        """True if the generator had not core enough to be sure that it did not hold up what is measured."""
        return float(self.load["cpu"]) > FULL

    @property
    def stalled(self) -> float:
        """Milliseconds that the machine stood still, as the generator and the bare client beside saw it."""
        return float(max(self.load["lag_ms"], *self.load["witness_ms"], 0.0))


async def run(
    kind: str,
    calls: int,
    plan: Plan,
    sound: str = "conversation",
    *,
    uvloop: bool = False,
    witness: bool = False,
) -> Outcome:
    """Put `calls` calls of a kind of subject under load.

    Args:
        kind: Of `bench.subject`.
        calls: How many.
        plan: How long.
        sound: A scene of `bench.sounds`.
        uvloop: Whether the subject runs on uvloop.
        witness: Whether a bare client with one call, on the same core and kind of loop, tells what the
            machine does to anybody there.
    """
    async with AsyncExitStack() as stack:
        generator = await stack.enter_async_context(child("generator", sound=sound))
        ports = await generator.hear(_START)
        own, others = split_cores()
        generator.keep_to(others)
        more = {"uvloop": uvloop, "sound": sound, **ports}
        if witness:
            beside = await stack.enter_async_context(child("subject", kind="witness", calls=1, **more))
            await beside.hear(_START)
            beside.keep_to(own)
            beside.precede()
        async with child("subject", kind=kind, calls=calls, **more) as subject:
            await subject.hear(_START + calls * 0.05)
            subject.keep_to(own)
            await generator.ask(5.0, do="start")
            await asyncio.sleep(plan.warm_up)
            patience = 2 * plan.seconds + 20
            load, used = await asyncio.gather(
                generator.ask(patience, do="measure", seconds=plan.seconds),
                subject.ask(patience, do="measure", seconds=plan.seconds),
            )
    return Outcome(used["cpu"], used["frames"], used["seconds"], load, used["thinned"])
