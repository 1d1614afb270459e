"""A running embedded server with its clients: httpx for REST, websockets for the sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets

from fishjam_agents.protocol import encode_auth_request
from fishjam_agents.server import EmbeddedServer

DEADLINE = 10.0


class Client:
    """A backend of the server under test."""

    def __init__(self, server: EmbeddedServer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http

    def socket(self, name: str, prefix: str = "") -> websockets.connect:
        url = self.server.url.replace("http", "ws", 1)
        return websockets.connect(f"{url}{prefix}/socket/{name}/websocket", compression=None)

    async def room(self, **config: Any) -> str:
        answer = await self.http.post("/room", json=config)
        assert answer.status_code == 201
        room_id: str = answer.json()["data"]["room"]["id"]
        return room_id

    async def peer(self, room_id: str, kind: str = "webrtc", **options: Any) -> tuple[str, str]:
        """Id and token of a new peer."""
        answer = await self.http.post(f"/room/{room_id}/peer", json={"type": kind, "options": options})
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        return data["peer"]["id"], data["token"]

    async def shown(self, room_id: str, peer_id: str) -> dict[str, Any]:
        """The peer as REST shows it."""
        peers = (await self.http.get(f"/room/{room_id}")).json()["data"]["peers"]
        return next(peer for peer in peers if peer["id"] == peer_id)

    @asynccontextmanager
    async def agent(self, token: str) -> AsyncIterator[websockets.ClientConnection]:
        """An agent's authenticated socket."""
        async with self.socket("agent") as socket:
            await socket.send(encode_auth_request(token))
            assert await socket.recv() == b"\x0a\x00"
            yield socket


Scenario = Callable[[Client], Coroutine[Any, Any, None]]


@pytest.fixture
def serve() -> Callable[[Scenario], None]:
    """Run a scenario against a fresh server."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with asyncio.timeout(DEADLINE), EmbeddedServer() as server:
                headers = {"authorization": f"Bearer {server.token}"}
                async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
                    await scenario(Client(server, http))

        asyncio.run(main())

    return run


async def closing(socket: websockets.ClientConnection) -> tuple[int | None, str | None]:
    """Read a socket until the server closes it: code and reason."""
    try:
        while True:
            await socket.recv()
    except websockets.ConnectionClosed:
        return socket.close_code, socket.close_reason
