"""A generator and a measured process together, for some seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from bench.child import child
from bench.machine import split_cores

_START = 20.0
"""Seconds the children may take to start."""


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
        load: What the generator counted (`Load.measure`).
    """

    cpu: float
    frames: int
    load: dict[str, Any]

    @property
    def us_per_frame(self) -> float:
        """Microseconds of CPU per frame in and out."""
        return 1e6 * self.cpu / max(self.frames, 1)

    @property
    def lost(self) -> int:
        """Frames that were not answered."""
        return int(self.load["sent"]) - len(self.load["delays_ms"])


async def run(
    kind: str, calls: int, plan: Plan, sound: str = "conversation", *, uvloop: bool = False
) -> Outcome:
    """Put `calls` calls of a kind of subject under load."""
    async with child("generator", sound=sound) as generator:
        ports = await generator.hear(_START)
        async with child("subject", kind=kind, calls=calls, uvloop=uvloop, **ports) as subject:
            await subject.hear(_START + calls * 0.05)
            own, others = split_cores()
            subject.keep_to(own)
            generator.keep_to(others)
            await generator.ask(5.0, do="start")
            await asyncio.sleep(plan.warm_up)
            patience = plan.seconds + 10
            load, used = await asyncio.gather(
                generator.ask(patience, do="measure", seconds=plan.seconds),
                subject.ask(patience, do="measure", seconds=plan.seconds),
            )
    return Outcome(used["cpu"], used["frames"], load)
