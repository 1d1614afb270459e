"""Profile of the measured process by stages: `python -m bench.profile echo 150` (needs py-spy on the path).

Samples what Python does in a process with so many calls on uvloop, where it is installed, and adds up the
stages. A sampler costs little and holds nothing up, unlike a profiler that is called for every function; what
numpy, the kernel and the event loop do counts for whoever called them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from bench import kinds
from bench.child import child
from bench.machine import describe, split_cores

_SECONDS = 12.0
_RATE = 500
"""Samples per second."""
_WARM_UP = 2.0
_START = 20.0

STAGES = (
    ("bench: the backend itself", r"\(bench/bots"),
    ("ticks", r"\b_?tick \("),
    (
        "sending",
        r"(post\w*|_post|write|settle|_end_turn|encode|send\w*|_operation) "
        r"\(fishjam_agents/(fishjam|protocol|playout/sender)",
    ),
    ("reading", r"\((fishjam_agents/(fishjam|protocol)|websockets)/"),
    ("echo guard", r"\((fishjam_agents/audio/echo|fishjam_agents/hearing/loudspeaker)"),
    ("voice detection", r"\(fishjam_agents/audio/"),
    ("hearing: microphones and their batches", r"\(fishjam_agents/(hearing|pipeline/room_audio)"),
    ("turns", r"\(fishjam_agents/(turns|pipeline/turn_taking)"),
    ("playout", r"\(fishjam_agents/(playout|pipeline/replies)"),
    ("the rest of the pipeline", r"\(fishjam_agents/"),
)
"""Names of stages, each with what the innermost frame that belongs to one looks like."""
_LOOP = "event loop: waiting, reading and writing sockets"


def stage(stack: str) -> str:
    """Name of the stage that a stack of py-spy's is in: frames divided by semicolons, the innermost last."""
    for frame in reversed(stack.split(";")):
        for name, looks in STAGES:
            if re.search(looks, frame):
                return name
    return _LOOP


def shares(lines: Iterable[str]) -> list[tuple[str, float]]:
    """Share of each stage in what `py-spy record --format raw` has written, the largest first."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        samples[stage(stack)] += int(count)
    total = samples.total() or 1
    return [(name, count / total) for name, count in samples.most_common()]


@asynccontextmanager
async def sampling(pid: int, path: Path) -> AsyncIterator[Process]:
    """Run py-spy on a process; it is gone when the context is left, whatever happens in it."""
    sampler = await asyncio.create_subprocess_exec(
        *("py-spy", "record", "--nonblocking", "--format", "raw", "--output", str(path)),
        *("--rate", str(_RATE), "--duration", str(round(_SECONDS)), "--pid", str(pid)),
        stdout=DEVNULL,
    )
    try:
        yield sampler
    finally:
        if sampler.returncode is None:
            sampler.kill()
            await sampler.wait()


async def _record(kind: kinds.Kind, calls: int, path: Path) -> float:
    """Sample a process with so many calls; return its microseconds of CPU per frame meanwhile."""
    async with child("generator", sound=kind.sound) as generator:
        ports = await generator.hear(_START)
        own, others = split_cores()
        generator.keep_to(others)
        more = {"uvloop": kinds.loops()[0], "sound": kind.sound, **ports}
        async with child("subject", kind=kind.subject, calls=calls, **more) as subject:
            await subject.hear(_START + calls * 0.05)
            subject.keep_to(own)
            await generator.ask(5.0, do="start")
            await asyncio.sleep(_WARM_UP)
            async with sampling(subject.pid, path) as sampler:
                used = await subject.ask(3 * _SECONDS, do="measure", seconds=_SECONDS)
                async with asyncio.timeout(_START):
                    await sampler.wait()
    return 1e6 * float(used["cpu"]) / max(int(used["frames"]), 1)


def main() -> int:
    """Print the table."""
    known = {kind.subject: kind for kind in (kinds.ECHO, kinds.HALF, kinds.MIX)}
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description="Sample a process of calls.")
    parser.add_argument("kind", choices=known)
    parser.add_argument("calls", type=int)
    arguments = parser.parse_args()
    if shutil.which("py-spy") is None:
        print("py-spy is not installed: uv pip install py-spy", file=sys.stderr)
        return 1
    kind: kinds.Kind = known[arguments.kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stacks")
        us = asyncio.run(_record(kind, arguments.calls, path))
        table = shares(path.read_text().splitlines())
    print(f"{describe()}\n\n{arguments.calls} calls, {kind.title}: {us:.0f} us a frame\n")
    print("| stage | share | us a frame |\n|---|---|---|")
    for name, share in table:
        print(f"| {name} | {share:.0%} | {share * us:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
