"""An embedded server and the official SDK's client for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import fishjam

from fishjam_agents.server import EmbeddedServer

COMPOSITION = "https://rtc.example/api/composition/one"
DEADLINE = 20.0

Scenario = Callable[[EmbeddedServer, Any], Coroutine[Any, Any, None]]


def serve(scenario: Scenario) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE), EmbeddedServer() as server:
            with connected(server, server.token) as client:
                await scenario(server, client)

    asyncio.run(main())


@contextmanager
def connected(server: EmbeddedServer, token: str) -> Iterator[Any]:
    """An official client; it leaves its connections to the garbage collector, so they are closed here."""
    client = fishjam.FishjamClient(server.url, token)
    with client.client.get_httpx_client():
        yield client


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.01)


async def ask(request: Callable[..., Any], *arguments: Any) -> Any:
    """A request of the official client, which blocks."""
    return await asyncio.to_thread(request, *arguments)
