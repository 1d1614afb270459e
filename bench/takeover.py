"""Seconds until rooms of a killed process have a bot again: `python -m bench.takeover`, or with `programs`.

A program with three processes serves twelve rooms of an embedded server in this process; one of the three is
killed, again and again. With `programs` two programs that share a file of claims do, and one is killed,
without limits of load, over which a busy machine would leave the rooms alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from bench.child import program
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType

PROCESSES = 3
ROOMS = 12
KILLS = 10
_LEAVING = 20.0
"""Seconds in which a program leaves that was asked to twice."""
CONFIG = "agent: {backend: {type: parrot}}\nrooms: every\nworkers: 3\n"


def bots(room: Room) -> set[str]:
    return {peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.01)


def is_replaced(pids: Mapping[str, int], member: str, pid: int) -> bool:
    return pids[member] != pid


@asynccontextmanager
async def pids_of_workers(server: EmbeddedServer, folder: Path) -> AsyncIterator[dict[str, int]]:
    """A running program, and the process ids of its workers, as its log tells them."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    async with program(config, server.url, server.token, stderr=PIPE) as process:
        pids: dict[str, int] = {}

        async def read() -> None:
            assert process.stderr is not None
            async for line in process.stderr:
                if found := re.search(rb"the process (w\d) has the id (\d+)", line):
                    pids[found[1].decode()] = int(found[2])

        reading = asyncio.create_task(read())
        try:
            yield pids
        finally:
            # It is killed where it does not leave in time.
            for _ in range(2):
                with suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.sleep(1)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _LEAVING)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def main() -> None:
    # What the server still sends to a process that is gone.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedServer() as server, pids_of_workers(server, Path(folder)) as pids:
            await until(lambda: len(pids) == PROCESSES)
            rooms = [server.rooms.create() for _ in range(ROOMS)]
            for room in rooms:
                await server.add_caller(room.id)
            await until(lambda: all(bots(room) for room in rooms))
            times = []
            for number in range(KILLS):
                # The one before is back, and has its share of the rooms to come.
                await asyncio.sleep(6)
                victim = f"w{number % PROCESSES}"
                before = {room.id: bots(room) for room in rooms}
                pid = pids[victim]
                begun = time.perf_counter()
                os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.2)
                lost = [room for room in rooms if bots(room) != before[room.id]]
                await until(lambda: all(bots(room) for room in rooms))
                if lost:
                    times.append(time.perf_counter() - begun)
                await until(partial(is_replaced, pids, victim, pid))
    print(f"{len(times)} of {KILLS} killed processes had rooms; seconds until all had a bot again:")
    print(f"median {statistics.median(times):.2f}, longest {max(times):.2f}")


async def programs() -> None:
    """Kill one of two programs, which is started again."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    async with AsyncExitStack() as stack:
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "config.yaml"
        config.write_text(CONFIG.replace("workers: 3", "workers: {max_loop_lag: null, max_cpu: null}"))
        server = await stack.enter_async_context(EmbeddedServer())

        async def start() -> Process:
            return await stack.enter_async_context(program(config, server.url, server.token))

        running, times = [await start(), await start()], []
        for number in range(KILLS):
            await asyncio.sleep(6)
            rooms = [server.rooms.create() for _ in range(ROOMS)]
            for room in rooms:
                await server.add_caller(room.id)
            await until(lambda rooms=rooms: all(bots(room) for room in rooms))
            await asyncio.sleep(2)
            before = {room.id: bots(room) for room in rooms}
            begun = time.perf_counter()
            running[number % 2].kill()
            async with asyncio.timeout(_LEAVING):
                await running[number % 2].wait()
            await asyncio.sleep(0.2)
            lost = [room for room in rooms if bots(room) != before[room.id]]
            await until(lambda rooms=rooms: all(bots(room) for room in rooms))
            if lost:
                times.append(time.perf_counter() - begun)
            for room in rooms:
                server.rooms.delete(room.id)
            running[number % 2] = await start()
    print(f"{len(times)} of {KILLS} killed programs had rooms; seconds until all had a bot again:")
    print(f"median {statistics.median(times):.2f}, longest {max(times):.2f}")


if __name__ == "__main__":
    asyncio.run(programs() if sys.argv[1:] == ["programs"] else main())
