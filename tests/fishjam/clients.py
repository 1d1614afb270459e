"""Both clients in tests: asked alike, against the embedded server or a stub."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fishjam_agents.fishjam import AsyncFishjamClient, FishjamClient
from fishjam_agents.server import EmbeddedServer

from .stubs import Answer, Respond, http_server

Kind = type[FishjamClient] | type[AsyncFishjamClient]

both = pytest.mark.parametrize("kind", [FishjamClient, AsyncFishjamClient])

EMPTY_LIST = (200, b'{"data": []}')


async def ask(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of either client."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    return await asyncio.to_thread(method, *args, **kwargs)


@asynccontextmanager
async def client_of(kind: Kind, url: str, token: str = "token", **settings: Any) -> AsyncIterator[Any]:
    client = kind(url, token, **settings)
    try:
        yield client
    finally:
        if isinstance(client, FishjamClient):
            client.close()
        else:
            await client.aclose()


def against_server(kind: Kind, scenario: Callable[[EmbeddedServer, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(20),
            EmbeddedServer() as server,
            client_of(kind, server.url, server.token) as client,
        ):
            await scenario(server, client)

    asyncio.run(run())


def against_stub(
    kind: Kind, respond: Respond, scenario: Callable[[Any], Awaitable[None]], **settings: Any
) -> None:
    async def run() -> None:
        async with http_server(respond) as url, client_of(kind, url, **settings) as client:
            await scenario(client)

    asyncio.run(run())


def script(*answers: Answer) -> tuple[Respond, list[str]]:
    """Gives the answers one after the other, the last one for ever; and what was asked."""
    asked: list[str] = []

    def respond(method: str, path: str, *_: object) -> Answer:
        asked.append(f"{method} {path}")
        return answers[min(len(asked), len(answers)) - 1]

    return respond, asked
