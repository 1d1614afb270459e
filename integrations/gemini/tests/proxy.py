"""A way to the service that can go dead without a word, as a lost mobile link or a forgetful router does."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Proxy:
    """Forwards bytes to a port of this machine.

    Attributes:
        url: What `base_url` has to be.
    """

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._links: list[tuple[asyncio.Event, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.url = ""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in self._links:
            writer.transport.abort()
        await self._server.wait_closed()

    def go_dead(self) -> None:
        """From now on nothing passes on the connections there are, either way; they stay open."""
        for dead, _ in self._links:
            dead.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        dead = asyncio.Event()
        self._links += [(dead, writer), (dead, far_writer)]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_forward(source, sink, dead))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter, dead: asyncio.Event) -> None:
    try:
        while data := await source.read(65536):
            if not dead.is_set():
                sink.write(data)
                await sink.drain()
    except ConnectionError:
        pass
    if not dead.is_set():
        sink.close()
