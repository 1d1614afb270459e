"""The WebSocket of vendors' clients, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fishjam_agents.backends.direct_socket import DirectConnection

DEADLINE = 20.0


def test_it_is_closed_in_time_also_where_nothing_is_taken_any_more() -> None:
    async def pours(socket: DirectConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(bytes(1 << 16))

    async def work() -> None:
        over = asyncio.Event()

        async def stalls(socket: ServerConnection) -> None:
            socket.transport.pause_reading()
            await over.wait()

        async with serve(stalls, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            socket = await connect(
                url,
                create_connection=DirectConnection,
                proxy=None,
                compression=None,
                close_timeout=0.2,
                ping_interval=None,
            )
            assert isinstance(socket, DirectConnection)
            pouring = asyncio.create_task(pours(socket))
            try:
                async with asyncio.timeout(DEADLINE):
                    while not socket.paused:  # noqa: ASYNC110 - what is waited for has no event
                        await asyncio.sleep(0.01)
                    await socket.close()
                    await pouring
            finally:
                over.set()

    asyncio.run(work())
