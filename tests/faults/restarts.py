"""A Fishjam in a process of its own, which tests kill and start again on its port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.child import Child, child

START = 60.0
"""Seconds a process may take to start; the machine may be busy."""


@dataclass
class FishjamProcess:
    """The server of rooms.

    Attributes:
        token: Its management token.
        url: Its base URL, the same after a restart.
        child: The process that runs.
    """

    token: str = "secret"
    url: str = ""
    child: Child = field(init=False)
    _port: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        self.child = await self._stack.enter_async_context(
            child("rooms_server", port=self._port, token=self.token)
        )
        where = await self.child.hear(START)
        self.url, self._port = where["url"], where["port"]

    async def occupy(self, ids: Sequence[str | None]) -> list[str]:
        """Let a person join each room; those that are not there are made, with their ids where given."""
        rooms: list[str] = (await self.child.ask(START, do="occupy", ids=list(ids)))["rooms"]
        return rooms

    async def rooms(self) -> list[str]:
        rooms: list[str] = (await self.child.ask(START, do="rooms"))["rooms"]
        return rooms

    async def ask(self) -> None:
        await self.child.ask(START, do="ask")

    async def spoken(self) -> dict[str, float]:
        """Seconds that bots have spoken in each room."""
        rooms = (await self.child.ask(START, do="bots"))["rooms"]
        return {id: room["spoken"] for id, room in rooms.items()}

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, dict[str, Any]]:
        """Wait until something holds for each room that has people; the rooms as they are then."""
        while True:
            rooms: dict[str, dict[str, Any]] = (await self.child.ask(START, do="bots"))["rooms"]
            if rooms and all(holds(room) for room in rooms.values()):
                return rooms
            await asyncio.sleep(0.05)


def has_one_bot(room: dict[str, Any]) -> bool:
    return bool(room["bots"] == 1)


def has_answered(room: dict[str, Any]) -> bool:
    return bool(room["answered"])


@asynccontextmanager
async def fishjam_process() -> AsyncIterator[FishjamProcess]:
    server = FishjamProcess()
    async with server._stack:
        await server.start()
        yield server
