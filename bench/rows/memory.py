"""Memory that one more call takes in a process that has some already."""

from __future__ import annotations

import asyncio

from bench.child import Child, child
from bench.table import Row, skipped

_IDLE_MB, _TALKING_MB = 0.1, 0.12
_WHAT = "memory of a further session"
_FRAMES = 150
"""Frames that each call is to have said and heard, 3 s of them: twice as much as a microphone keeps."""
_PATIENCE = 60.0
"""Seconds within which they are to be through, on however busy a machine."""


async def _talk(subject: Child, frames: int) -> None:
    """Return when the calls of a subject have had so many frames together."""
    async with asyncio.timeout(_PATIENCE):
        while frames > 0:
            frames -= (await subject.ask(_PATIENCE, do="measure", seconds=0.5))["frames"]


async def measure(quick: bool) -> list[Row]:
    """Growth of the resident set over many sessions: connected, then with audio both ways."""
    more = 10 if quick else 80
    async with child("generator", sound="conversation") as generator:
        ports = await generator.hear(20.0)
        # What the first sessions load, compile and allocate once is no price of a further one.
        async with child("subject", kind="echo", calls=10, **ports) as subject:
            await subject.hear(20.0)
            before = (await subject.ask(5.0, do="memory"))["bytes"]
            if before is None:
                return [skipped(_WHAT, f"{_IDLE_MB} MB idle", "this system has no /proc")]
            await subject.ask(20.0, do="join", calls=more)
            idle = (await subject.ask(5.0, do="memory"))["bytes"]
            await generator.ask(5.0, do="start")
            await _talk(subject, 0 if quick else _FRAMES * (more + 10))
            talking = (await subject.ask(20.0, do="memory"))["bytes"]
    idle_mb, talking_mb = (idle - before) / more / 1e6, (talking - before) / (more + 10) / 1e6
    return [
        Row(f"{_WHAT}, idle", f"{_IDLE_MB} MB", f"{idle_mb:.3f} MB (of {more})", "", idle_mb <= _IDLE_MB),
        Row(
            f"{_WHAT}, talking",
            f"{_TALKING_MB} MB",
            f"{talking_mb:.3f} MB (of {more + 10})",
            "",
            talking_mb <= _TALKING_MB,
        ),
    ]
