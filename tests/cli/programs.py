"""`run` of a file about many rooms as a process, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from fishjam_agents.event_base import short_id
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType

ROOT = Path(__file__).parents[2]
DEADLINE = 240.0
"""Seconds for all that is done with a program, its start included. With ten busy processes on two cores two
programs need a minute to start."""


class Program:
    """A running `run`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.logged = ""
        self._readers = [asyncio.create_task(self._read_out()), asyncio.create_task(self._read_log())]

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said += line.decode()

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.logged += line.decode()

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def says(self, text: str) -> None:
        await until(lambda: text in self.said or self.process.returncode is not None)
        assert text in self.said, self.logged

    async def exits(self) -> int:
        code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code


class Reachable(Protocol):
    """A server: the embedded one, or one in another process."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


@asynccontextmanager
async def running(
    config: Path, server: Reachable, state: Path, *options: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "run", str(config), *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "FISHJAM_ID": server.url,
            "FISHJAM_MANAGEMENT_TOKEN": server.token,
            "XDG_STATE_HOME": str(state),
            "API_PORT": "0",
            **(environ or {}),
        },
    )
    program = Program(process)
    try:
        async with asyncio.timeout(DEADLINE):
            yield program
    except TimeoutError:
        said = f"{program.said[-2000:]}\n{program.logged[-4000:]}"
        pytest.fail(f"not done after {DEADLINE:g} s; what the program said last:\n{said}")
    finally:
        if process.returncode is None:
            process.kill()
        await program.exits()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.02)


def bots(room: Room) -> list[str]:
    """The agents that are connected."""
    return [peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected]


class Watch:
    """Watches how many bots a room ever had at once."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.most: dict[str, int] = defaultdict(int)
        self._server = server
        server.rooms.notifications.subscribe(self._look)

    def _look(self, room_id: str, message: bytes) -> None:
        room = self._server.rooms.find(room_id)
        if room is not None:
            self.most[room_id] = max(self.most[room_id], len(bots(room)))


async def occupied(server: EmbeddedServer, number: int) -> list[Room]:
    rooms = [server.rooms.create() for _ in range(number)]
    for room in rooms:
        await server.add_caller(room.id)
    return rooms


def in_log(room: Room) -> str:
    """The name that a room has in lines of the log."""
    return f"room {short_id(room.id)}"


def all_served(rooms: list[Room]) -> bool:
    return all(bots(room) for room in rooms)
