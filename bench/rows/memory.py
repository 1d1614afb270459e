"""Memory that one more call takes in a process that has some already."""

from __future__ import annotations

import asyncio

from bench.child import Child, child
from bench.table import Row, skipped

_IDLE_MB, _TALKING_MB = 0.1, 0.12
_WHAT = "memory of a further session"
_FIRST = 64
"""Sessions that are there before: what they load, compile and allocate once is no price of a further one. As
many as have their frames judged together (`audio/vad_batch.py`), whose arrays are a few MB."""
_FRAMES = 150
"""Frames that each call is to have said and heard, 3 s of them: twice as much as a microphone keeps."""
_PATIENCE = 60.0
"""Seconds that each step may take, on however busy a machine."""


async def _talk(subject: Child, frames: int) -> None:
    """Return when the calls of a subject have had so many frames together."""
    async with asyncio.timeout(_PATIENCE):
        while frames > 0:
            frames -= (await subject.ask(_PATIENCE, do="measure", seconds=0.5))["frames"]


async def measure(quick: bool) -> list[Row]:
    """Growth of the resident set over many sessions: connected, then with audio both ways."""
    first, more = (2, 3) if quick else (_FIRST, 50)
    idle = await _grown(first, more, 0)
    talking = None if idle is None else await _grown(first, more, 1 if quick else _FRAMES)
    if idle is None or talking is None:
        return [skipped(_WHAT, f"{_IDLE_MB} MB idle", "this system has no /proc")]
    return [_row("idle", _IDLE_MB, idle, more), _row("talking", _TALKING_MB, talking, more)]


def _row(what: str, budget: float, grown: float, more: int) -> Row:
    return Row(
        *(f"{_WHAT}, {what}", f"{budget} MB", f"{grown:.3f} MB (of {more})"), "", within=grown <= budget
    )


async def _grown(first: int, more: int, frames: int) -> float | None:
    """MB that each further session added after so many frames; None where the system does not tell."""
    async with child("generator", sound="conversation") as generator:
        ports = await generator.hear(_PATIENCE)
        async with child("subject", kind="echo", calls=first, **ports) as subject:
            await subject.hear(_PATIENCE)
            if frames:
                await generator.ask(_PATIENCE, do="start")
            await _talk(subject, frames * first)
            # The first look holds the process up long enough for all to be judged together.
            await subject.ask(_PATIENCE, do="memory")
            await _talk(subject, min(frames, first))
            before = (await subject.ask(_PATIENCE, do="memory"))["bytes"]
            if before is None:
                return None
            await subject.ask(_PATIENCE, do="join", calls=more)
            await _talk(subject, frames * (first + more))
            after = (await subject.ask(_PATIENCE, do="memory"))["bytes"]
    return float(after - before) / more / 1e6
