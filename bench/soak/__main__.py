"""`python -m bench.soak`: calls through real sockets for some minutes, with random faults and restarts.

A third of the calls has a parrot, a third a cascade, a third an emulated Gemini behind Google's own client. A
Fishjam runs in another process, the bots in a third one; all that they say to each other and to the vendor
goes through fault-injecting proxies. People say numbered utterances; what arrives at the backends and what is
heard of the answers is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fishjam_agents_gemini.emulator import GeminiEmulator

from bench.child import Child, child, program
from bench.machine import ROOT, describe
from bench.soak.faults import make_faults
from bench.soak.judge import judge, slope
from bench.soak.marks import marks, voice
from bench.soak.notes import Notes, read
from fishjam_agents.testing.fault_proxy import FaultProxy

TOKEN = "secret"
START = 180.0
"""Seconds that a process may take to start, or to answer: on a crowded machine a minute is not enough."""
SAMPLING = 1.0
"""Seconds between two looks at the process of the bots."""
SETTLED = 8.0
"""Seconds without faults and speech before it is counted what the process holds."""
WARM_UP = 0.3
"""Share of the time after which memory counts."""
MOST_GROWTH = 300.0
"""KiB a minute by which the process of the bots may grow, confidence included, however many calls it has."""
SHORTEST_SLOPE = 5.0
"""Minutes below which growth is not judged: allocators settle."""

CONFIG = """
bots:
  parrot: {pipeline: 'bench.soak.bots:ParrotBot'}
  cascade: {pipeline: 'bench.soak.bots:CascadeBot'}
  gemini: {pipeline: 'bench.soak.bots:GeminiBot', backend: {type: gemini}}
rooms:
  - {peer: {kind: parrot}, bot: parrot}
  - {peer: {kind: cascade}, bot: cascade}
  - {peer: {kind: gemini}, bot: gemini}
workers: {max_loop_lag: null, max_cpu: null, drain: 0}
limits: {empty_room: 60}
"""
KINDS = ("parrot", "cascade", "gemini")


@dataclass(frozen=True, slots=True)
class Holdings:
    """Holdings of a process.

    Attributes:
        threads: Threads.
        descriptors: Open files and sockets.
        tasks: Tasks of its loop.
    """

    threads: int
    descriptors: int
    tasks: int


class Soak:
    """One run; see the options."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._calls = [
            {"number": number, "room": None, "kind": KINDS[number % len(KINDS)]}
            for number in range(options.calls)
        ]
        self._rss: list[tuple[float, float]] = []
        self._faults: Counter[str] = Counter()
        self._restarts = 0
        self._server: Child
        self._port = 0

    async def run(self) -> dict[str, Any]:
        """Run it, and return the report."""
        options = self._options
        notes = Notes(self._folder / "soak.jsonl")
        async with AsyncExitStack() as stack:
            stack.callback(notes.close)
            emulator = await stack.enter_async_context(GeminiEmulator(_answers(notes)))
            vendor = await stack.enter_async_context(FaultProxy(emulator.url, seed=options.seed))
            url = await self._start_server(stack)
            fishjam = await stack.enter_async_context(FaultProxy(url, seed=options.seed))
            bots = await self._start_bots(
                stack, fishjam.url, {**emulator.environment, "GOOGLE_GEMINI_BASE_URL": vendor.url}
            )
            await self._join()
            await self._all_served()
            watching = asyncio.create_task(self._watch(bots.pid))
            # Every kind has talked once before it is counted what is held.
            await asyncio.sleep(3 * options.period)
            before = await self._holdings(bots.pid)
            gemini = [call["number"] for call in self._calls if call["kind"] == "gemini"]
            faults = asyncio.create_task(
                make_faults(fishjam, vendor, notes, options.faults, options.seed, gemini, self._made)
            )
            await self._restart_now_and_then(stack, options.minutes * 60, notes)
            await _end(faults)
            fishjam.clear()
            vendor.clear()
            await self._all_served()
            await self._server.ask(START, do="hush")
            await asyncio.sleep(SETTLED)
            after = await self._holdings(bots.pid)
            await _end(watching)
            bots.terminate()
            with contextlib.suppress(ProcessLookupError):
                await asyncio.sleep(1.0)
                bots.terminate()
            async with asyncio.timeout(START):
                code = await bots.wait()
        log = (self._folder / "bots.log").read_text()
        return self._report(before, after, code, log)

    def _made(self, name: str) -> None:
        self._faults[name] += 1

    async def _start_server(self, stack: AsyncExitStack) -> str:
        options = self._options
        self._server = await stack.enter_async_context(
            child(
                "soak.server",
                folder=str(self._folder),
                token=TOKEN,
                port=self._port,
                period=options.period,
                seed=options.seed,
                run=self._restarts,
            )
        )
        where = await self._server.hear(START)
        self._port = where["port"]
        return str(where["url"])

    async def _start_bots(
        self, stack: AsyncExitStack, url: str, environment: dict[str, str]
    ) -> asyncio.subprocess.Process:
        config = self._folder / "config.yaml"
        config.write_text(CONFIG)
        log = stack.enter_context((self._folder / "bots.log").open("w"))
        return await stack.enter_async_context(
            program(
                config,
                url,
                TOKEN,
                stderr=log,
                environment={**environment, "PYTHONPATH": str(ROOT), "SOAK_FOLDER": str(self._folder)},
            )
        )

    async def _join(self) -> None:
        rooms = (await self._server.ask(START, do="join", calls=self._calls, first=1000 * self._restarts))[
            "rooms"
        ]
        for call, room in zip(self._calls, rooms, strict=True):
            call["room"] = room

    async def _all_served(self) -> None:
        async with asyncio.timeout(120):
            while True:
                bots = (await self._server.ask(START, do="bots"))["bots"]
                if all(number == 1 for number in bots):
                    return
                await asyncio.sleep(0.2)

    async def _restart_now_and_then(self, stack: AsyncExitStack, seconds: float, notes: Notes) -> None:
        parts = self._options.restarts + 1
        for part in range(parts):
            await asyncio.sleep(seconds / parts)
            if part < parts - 1:
                notes.put("fault", name="the server is killed", call=None, seconds=10.0)
                self._made("the server is killed")
                await self._server.kill()
                self._restarts += 1
                await asyncio.sleep(1.0)
                await self._start_server(stack)
                await self._join()

    async def _watch(self, pid: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                self._rss.append((time.monotonic(), _resident(pid)))
            await asyncio.sleep(SAMPLING)

    async def _holdings(self, pid: int) -> Holdings:
        """The least of three seconds: what comes and goes is not held."""
        looks = []
        for _ in range(3):
            tasks = [note["number"] for note in read(self._folder) if note["kind"] == "tasks"]
            looks.append(
                (
                    len(os.listdir(f"/proc/{pid}/task")),
                    len(os.listdir(f"/proc/{pid}/fd")),
                    min(tasks[-3:], default=0),
                )
            )
            await asyncio.sleep(1.0)
        return Holdings(*(min(column) for column in zip(*looks, strict=True)))

    def _report(self, before: Holdings, after: Holdings, code: int, log: str) -> dict[str, Any]:
        notes = list(read(self._folder))
        verdict = judge(notes)
        collected = [note["number"] for note in notes if note["kind"] == "collected"]
        begin = self._rss[0][0] + WARM_UP * (self._rss[-1][0] - self._rss[0][0])
        counted = [sample for sample in self._rss if sample[0] >= begin]
        memory = slope(counted)
        problems = list(verdict.details)
        if memory.minutes >= SHORTEST_SLOPE and memory.per_minute + memory.error > MOST_GROWTH:
            problems.append(f"the process of the bots grows by {memory.per_minute:.0f} KiB a minute")
        # A few spare connections of the REST client come and go.
        for name, most in (("threads", 2), ("descriptors", 10), ("tasks", 2)):
            grown = getattr(after, name) - getattr(before, name)
            if grown > most:
                problems.append(f"{grown} more {name} than before")
        if "Traceback" in log:
            problems.append("there are tracebacks in the log of the bots")
        if code != 0:
            problems.append(f"the bots ended with {code}")
        return {
            "machine": describe(),
            "calls": self._options.calls,
            "minutes": self._options.minutes,
            "seed": self._options.seed,
            "faults": dict(self._faults),
            "utterances": verdict.as_json() | {"details": len(verdict.details)},
            "memory": asdict(memory) | {"first": counted[0][1], "last": counted[-1][1]},
            "garbage": {"collections": len(collected), "most": max(collected, default=0)},
            "before": asdict(before),
            "after": asdict(after),
            "problems": problems,
        }


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task that runs until then; what it failed with is raised."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _resident(pid: int) -> float:
    """Memory of a process, KiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def _answers(notes: Notes) -> Any:
    async def answer(connection: Any, request: Any) -> None:
        found = list(marks(np.frombuffer(request.audio, "<i2").astype(np.int16)))
        notes.put_marks("arrived", found, backend="gemini")
        for call, utterance in dict.fromkeys((mark.call, mark.utterance) for mark in found):
            sound = voice(call, utterance, 24000)
            for at in range(0, len(sound), 2400):
                await connection.send_audio(sound[at : at + 2400].astype("<i2").tobytes())
        await connection.finish_turn()

    return answer


def summary(report: dict[str, Any]) -> str:
    """The report for people."""
    said, memory, garbage = report["utterances"], report["memory"], report["garbage"]
    lines = [
        f"{report['calls']} calls, {report['minutes']:g} minutes, seed {report['seed']}: "
        f"{sum(report['faults'].values())} faults ({len(report['faults'])} kinds)",
        f"{said['said']} utterances: {said['arrived']} arrived whole, {said['excused']} were said into a "
        f"fault, {said['lost']} lost, {said['doubled']} doubled",
        f"{said['answered']} answers heard, {said['unanswered']} missing, {said['answered_twice']} twice; "
        f"for {said['late']:.1f} s a process was late",
        f"memory of the bots {memory['last'] / 1024:.1f} MiB, {memory['per_minute']:+.0f} ± "
        f"{memory['error']:.0f} KiB a minute over {memory['minutes']:.1f} minutes",
        f"{garbage['collections']} full collections, of {garbage['most']} objects of garbage at most",
        f"tasks {report['before']['tasks']} -> {report['after']['tasks']}, "
        f"threads {report['before']['threads']} -> {report['after']['threads']}, "
        f"descriptors {report['before']['descriptors']} -> {report['after']['descriptors']}",
    ]
    return "\n".join([*lines, *(f"PROBLEM {problem}" for problem in report["problems"])])


def main(arguments: list[str] | None = None) -> int:
    """Run a soak; 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=10.0, help="faults in a minute")
    parser.add_argument("--restarts", type=int, default=1, help="restarts of the Fishjam")
    parser.add_argument("--period", type=float, default=6.0, help="seconds between two utterances of a call")
    parser.add_argument("--out", type=Path, default=Path("out/soak"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.jsonl"):
        old.unlink()
    report = asyncio.run(Soak(options, options.out.resolve()).run())
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(summary(report))
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
