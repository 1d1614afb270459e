"""A running embedded server with its clients: httpx for REST, websockets for the sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

import betterproto
import httpx
import pytest
import websockets

from fishjam_agents.protocol import decode, encode, encode_auth_request
from fishjam_agents.protocol.generated import notifications as schema
from fishjam_agents.server import EmbeddedServer

DEADLINE = 30.0


class Client:
    """A backend of the server under test."""

    def __init__(self, server: EmbeddedServer, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http

    def socket(self, name: str, prefix: str = "") -> websockets.connect:
        url = self.server.url.replace("http", "ws", 1)
        return websockets.connect(
            f"{url}{prefix}/socket/{name}/websocket", compression=None, open_timeout=DEADLINE
        )

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
    async def notifications(self) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """A backend's socket that is subscribed: names and messages as they come."""

        async def read() -> AsyncIterator[tuple[str, Any]]:
            async for data in socket:
                assert isinstance(data, bytes)
                yield read_notification(data)

        async with self.socket("server") as socket:
            auth = schema.ServerMessageAuthRequest(token=self.server.token)
            await socket.send(encode(schema.ServerMessage(auth_request=auth)))
            assert await socket.recv() == bytes.fromhex("3200")
            await socket.send(bytes.fromhex("42020801"))
            assert await socket.recv() == bytes.fromhex("4a020801")
            async with aclosing(read()) as told:
                yield told

    @asynccontextmanager
    async def agent(self, token: str) -> AsyncIterator[websockets.ClientConnection]:
        """An agent's authenticated socket."""
        async with self.socket("agent") as socket:
            await socket.send(encode_auth_request(token))
            assert await socket.recv() == b"\x0a\x00"
            yield socket


Scenario = Callable[[Client], Coroutine[Any, Any, None]]


class Serve(Protocol):
    """The fixture `serve`."""

    def __call__(self, scenario: Scenario, **options: Any) -> None: ...


class Receiver:
    """An endpoint for webhooks: keeps every request and answers as it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        """The next answers; 200 when there are none."""
        self.url = ""
        self.busy = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        """Answer nothing until it is set."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:]
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.busy += 1
                self.most_at_once = max(self.most_at_once, self.busy)
                self.requests.append((headers, body))
                if self.hold is not None:
                    await self.hold.wait()
                status = self.statuses.pop(0) if self.statuses else 200
                self.busy -= 1
                writer.write(f"HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def kinds(self) -> list[str]:
        """What each request held."""
        return [read_notification(body)[0] for _, body in self.requests]

    def told(self) -> list[tuple[str, Any]]:
        """Every notification received, batches taken apart."""
        told = []
        for _, body in self.requests:
            name, message = read_notification(body)
            parts = (
                message.notifications
                if name == "notification_batch"
                else [decode(schema.ServerMessage, body)]
            )
            told += [betterproto.which_one_of(part, "content") for part in parts]
        return told

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A running endpoint for webhooks."""
    endpoint = Receiver()
    server = await asyncio.start_server(endpoint.answer, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield endpoint
    finally:
        server.close()


def read_notification(data: bytes) -> tuple[str, Any]:
    """Name and message of an encoded `ServerMessage`."""
    return betterproto.which_one_of(decode(schema.ServerMessage, data), "content")


@pytest.fixture
def serve() -> Serve:
    """Run a scenario against a fresh server with options of its own."""

    def run(scenario: Scenario, **options: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(DEADLINE), EmbeddedServer(**options) as server:
                headers = {"authorization": f"Bearer {server.token}"}
                async with httpx.AsyncClient(base_url=server.url, headers=headers, verify=False) as http:
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
