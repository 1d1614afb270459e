"""A call that the playground shows, and a page that watches it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import websockets

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.server.playground import Controls, RegisteredCall

from .conftest import Client

ALL = Controls(push_to_talk=True, text=True, interrupt=True, camera=True)


class ShownCall:
    """A call of a bot that only notes what it is asked for."""

    def __init__(self, room_id: str, controls: Controls = ALL) -> None:
        self.id: str | None = "1a2b3c4d"
        self.room_id = room_id
        self.bot_peer = "bot"
        self.bot = "Bot"
        self.controls = controls
        self.asked: list[Any] = []
        self.time = 0.0
        self.refuses: str | None = None

    def now(self) -> float:
        return self.time

    def submit_text(self, text: str, peer: str | None) -> None:
        if self.refuses is not None:
            raise FishjamAgentsError(self.refuses)
        self.asked.append((text, peer))

    def interrupt(self) -> None:
        self.asked.append("interrupt")

    async def report(self, events: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> bytes:
        return f"report of {len(events)} for {sorted(names.values())}".encode()

    def record(self) -> str:
        return '{"end": 1.0}\n'


async def registered(client: Client, **options: Any) -> tuple[ShownCall, RegisteredCall]:
    call = ShownCall(await client.room(), **options)
    return call, client.server.playground.register(call)


def events_socket(client: Client) -> websockets.connect:
    url = client.server.url.replace("http", "ws", 1)
    return websockets.connect(f"{url}/playground/events", compression=None, max_size=None)


@asynccontextmanager
async def page(client: Client, token: str) -> Any:
    async with events_socket(client) as socket:
        await socket.send(json.dumps({"type": "auth", "token": token}))
        yield socket


async def told(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind; those before it are skipped."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def guest_token(answer: httpx.Response) -> str:
    link: str = answer.json()["link"]
    return link.partition("#call=")[2]
