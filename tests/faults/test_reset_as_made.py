"""A server that resets connections the moment they are made: uvloop's transports have no socket then."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

import pytest

from fishjam_agents.fishjam import AsyncFishjamClient, UnreachableError

uvloop = pytest.importorskip("uvloop")

NOTHING_LEFT = struct.pack("ii", 1, 0)


def test_it_is_unreachable_and_nothing_else() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def reset_all() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING_LEFT)
            connection.close()

    resetting = threading.Thread(target=reset_all, daemon=True)
    resetting.start()

    async def ask() -> None:
        async with AsyncFishjamClient(f"http://127.0.0.1:{listening.getsockname()[1]}", "token") as client:
            for outcome in await asyncio.gather(
                *(client.get_all_rooms() for _ in range(200)), return_exceptions=True
            ):
                assert isinstance(outcome, UnreachableError), repr(outcome)

    try:
        uvloop.run(ask())
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        resetting.join(5)
