"""Seconds until calls have their bots again after their Fishjam was killed: `python -m bench.server_restart`.

One process serves fifty rooms of an embedded server in another process, which is killed and started again on
its port after a while. Its rooms are lost with it: as soon as it is up the application makes them again, with
a person in each. It is counted from then on. Fishjam that keeps its rooms is the same without the making.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.child import Child, child, program

CONFIG = """
agent: {backend: {type: parrot}}
rooms: every
workers: {max_loop_lag: null, max_cpu: null}
limits: {empty_room: 60}
"""
START = 60.0
TOKEN = "secret"


async def all_rooms(server: Child, key: str, wanted: Any, since: float) -> float:
    """Seconds since a moment until something holds for all rooms."""
    while True:
        rooms = (await server.ask(START, do="bots"))["rooms"].values()
        if any(room["most"] > 1 for room in rooms):
            raise RuntimeError("a room had two bots")
        if rooms and all(room[key] == wanted for room in rooms):
            return time.perf_counter() - since
        if time.perf_counter() - since > START:
            raise RuntimeError(f"{sum(room[key] != wanted for room in rooms)} rooms have no bot")
        await asyncio.sleep(0.05)


async def measure(calls: int, downs: Sequence[float]) -> None:
    """Kill the server once for each time that it is to be away, and print how long all calls took."""
    rooms: list[str | None] = [None] * calls
    async with AsyncExitStack() as stack:
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "config.yaml"
        config.write_text(CONFIG)

        async def start(port: int) -> tuple[Child, dict[str, Any]]:
            server = await stack.enter_async_context(child("rooms_server", token=TOKEN, port=port))
            return server, await server.hear(START)

        server, where = await start(0)
        await stack.enter_async_context(program(config, where["url"], TOKEN))
        rooms = (await server.ask(START, do="occupy", ids=rooms))["rooms"]
        begun = time.perf_counter()
        print(f"{calls} rooms; at the first start {await all_rooms(server, 'bots', 1, begun):.2f} s")
        for down in downs:
            await server.kill()
            await asyncio.sleep(down)
            server, _ = await start(where["port"])
            begun = time.perf_counter()
            await server.ask(START, do="occupy", ids=rooms)
            there = await all_rooms(server, "bots", 1, begun)
            await server.ask(START, do="ask")
            asked = time.perf_counter()
            answered = await all_rooms(server, "answered", True, asked)
            print(
                f"away for {down:g} s: all have a bot after {there:.2f} s, and answer {answered:.2f} s later"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.server_restart", description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--away", type=float, nargs="+", default=[0.5, 3.0, 10.0, 30.0])
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.calls, arguments.away))
