"""A TCP proxy that can lose connections the way networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on, until told not to.

    Attributes:
        url: Where to connect instead of the server.
        accepted: How many connections it has taken.
        refusing: While true, connections are broken as soon as they are made.
    """

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname, address.port)
        self._half_open: list[asyncio.StreamWriter] = []
        self._open: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.accepted = 0
        self.refusing = False

    @property
    def connections(self) -> int:
        return len(self._open)

    def cut(self, index: int | None = None, *, half: bool = False) -> None:
        """Break one connection, or all, without a goodbye; with `half` the server does not notice."""
        clients = list(self._open)
        for client in clients if index is None else [clients[index % len(clients)]]:
            client.transport.abort()
            there = self._open.pop(client)
            if half:
                self._half_open.append(there)
            else:
                there.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            if self.refusing:
                return
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            self._open[writer] = there_writer
            try:
                ways = [
                    asyncio.ensure_future(_pass(reader, there_writer)),
                    asyncio.ensure_future(_pass(there_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            finally:
                if self._open.pop(writer, None) is not None:
                    there_writer.transport.abort()
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def finish(self) -> None:
        for there in self._half_open:
            there.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    between = Proxy(target)
    server = await asyncio.start_server(between.handle, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
        await between.finish()
        await server.wait_closed()
