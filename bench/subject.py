"""The process that is measured: a number of calls on one event loop.

`python -m bench.subject '{"kind": "echo", "calls": 10, "port": 1234}'`; kinds are `echo`, `half`, `mix`,
`talk`, `model` (pipelines) and `bare`, `witness`, `relay` (plain `websockets`). It says when all calls have
joined and then answers `measure` (CPU time and frames of some seconds), `join` (more calls) and `memory`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from importlib import import_module
from typing import Any

from bench.bots import Counter, bare_echo, bare_relay, make_bot
from bench.child import requests, say
from bench.machine import resident_bytes
from bench.sounds import scene
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.fishjam import Agent
from fishjam_agents.pipeline.process_load import ProcessLoad

_JOIN_DEADLINE = 20.0
_STALL_PATIENCE = 5.0


class Subject:
    """Calls of one kind against one load generator."""

    def __init__(self, kind: str, port: int, model_port: int = 0, sound: str = "conversation") -> None:
        self._kind = kind
        self._scene = scene(sound)
        self._port = port
        self._model_port = model_port
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = asyncio.Semaphore(0)

    async def join(self, calls: int) -> None:
        """Begin more calls; returns when they are there."""
        for _ in range(calls):
            number = len(self._tasks)
            self._tasks.append(asyncio.create_task(self._call(number)))
            async with asyncio.timeout(_JOIN_DEADLINE):
                await self._joined.acquire()
        await asyncio.sleep(0.2)
        for task in self._tasks:
            if task.done():
                task.result()

    async def _call(self, number: int) -> None:
        model_url = f"ws://127.0.0.1:{self._model_port}/{number}"
        if self._kind in ("bare", "witness"):
            await bare_echo(self._port, self._joined, self._scene, witness=self._kind == "witness")
        elif self._kind == "relay":
            await bare_relay(self._port, model_url, self._joined)
        else:
            agent = Agent(f"agent-{number}", "room", "token", f"http://127.0.0.1:{self._port}")
            async with agent.connect() as session:
                self._joined.release()
                await make_bot(self._kind, model_url).run(session)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """CPU time and frames of the next seconds."""
        frames, cpu, begun = Counter.frames, time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        # A loop that is late measures for longer.
        elapsed = time.perf_counter() - begun
        return {
            "cpu": time.process_time() - cpu,
            "frames": Counter.frames - frames,
            "seconds": elapsed,
            "thinned": ProcessLoad.shared().thinning.active,
        }

    async def stall(self, seconds: float) -> dict[str, Any]:
        """Stand still, and tell how long it takes until ten ticks in a row are on time again."""
        time.sleep(seconds)  # noqa: ASYNC251 - that is the stall
        over = time.perf_counter()
        back, in_a_row, until = over, 0, over + _STALL_PATIENCE
        while in_a_row < 10 and back < until:
            due = time.perf_counter() + FRAME_SECONDS
            await asyncio.sleep(FRAME_SECONDS)
            in_a_row = in_a_row + 1 if time.perf_counter() - due < FRAME_SECONDS else 0
            if not in_a_row:
                back = time.perf_counter()
        return {"back": back - over}

    async def leave(self) -> None:
        """End every call."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def main(kind: str, calls: int, port: int, model_port: int = 0, sound: str = "conversation") -> None:
    """Run until the parent hangs up."""
    subject = Subject(kind, port, model_port, sound)
    await subject.join(calls)
    # As `run` and `server` do.
    freeze_gc()
    say()
    try:
        async for request in requests():
            match request["do"]:
                case "measure":
                    say(**await subject.measure(request["seconds"]))
                case "stall":
                    say(**await subject.stall(request["seconds"]))
                case "join":
                    await subject.join(request["calls"])
                    say()
                case "memory":
                    gc.collect()
                    say(bytes=resident_bytes())
    finally:
        await subject.leave()


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    if arguments.pop("uvloop", False):
        import_module("uvloop").run(main(**arguments))
    else:
        asyncio.run(main(**arguments))
