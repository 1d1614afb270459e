"""Clients that reset their connection while the server closes it."""

from __future__ import annotations

import asyncio
import errno

import pytest

from .conftest import Client
from .sockets import Serve, peer_auth


def test_a_client_that_resets_while_the_server_closes_is_sent_nothing_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`shutdown` fails when the loop has not seen the reset yet: what comes next finds no peer."""
    statuses: list[object] = []

    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        peer = client.server.rooms.get(room_id).peer(peer_id)

        def reset(transport: object) -> None:
            asyncio.get_running_loop().call_soon(lambda: statuses.append(peer.as_json()["status"]))
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

        async with client.socket("peer") as socket:
            await socket.send(peer_auth(token))
            await socket.recv()
            assert peer.as_json()["status"] == "connected"
            with monkeypatch.context() as patched:
                patched.setattr("asyncio.selector_events._SelectorSocketTransport.write_eof", reset)
                await socket.close()
        assert statuses[0] == "disconnected"

    serve(scenario)
