"""Tokens and passwords go to nobody but the server that was named, and stand in no message and no log."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import (
    Agent,
    AsyncFishjamClient,
    FishjamClient,
    FishjamNotifier,
    UnreachableError,
)
from fishjam_agents.fishjam.dial import DirectDial
from fishjam_agents.secrecy import conceal, guard_libraries, shown_url
from fishjam_agents.server import EmbeddedServer

TOKEN = "token-of-an-agent"
LONG_NAME = f"http://{'a' * 70}.example"


@asynccontextmanager
async def thief(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[Any]]]:
    """A host to which redirects lead, and all it is told."""
    told: list[Any] = []

    async def listen(socket: ServerConnection) -> None:
        assert socket.request is not None
        told.append(dict(socket.request.headers.raw_items()))
        told.extend([message async for message in socket])

    async with serve(listen, "127.0.0.1", 0, ssl=tls) as server:
        yield f"ws{'' if tls is None else 's'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", told


@asynccontextmanager
async def redirecting(to: str, status: int = 302, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that sends everyone elsewhere."""

    def redirect(connection: ServerConnection, request: Request) -> Response:
        answer = connection.respond(status, "")
        answer.headers["Location"] = to
        return answer

    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=redirect, ssl=tls) as server:
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def agent(url: str) -> None:
    async with Agent("a", "r", TOKEN, url).connect():
        pass


async def notifier(url: str) -> None:
    listening = FishjamNotifier(url, TOKEN)
    listening.on_server_notification(lambda _: None)
    await listening.connect()


async def with_headers(url: str) -> None:
    await DirectDial(
        url.replace("http", "ws"), additional_headers={"Authorization": TOKEN, "x-api-key": TOKEN}
    )


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("connect", [agent, notifier, with_headers])
def test_a_token_follows_no_redirect(
    connect: Callable[[str], Coroutine[Any, Any, None]], status: int
) -> None:
    async def scenario() -> None:
        async with (
            thief() as (elsewhere, told),
            redirecting(elsewhere, status) as middle,
            asyncio.timeout(10),
            redirecting(middle.replace("http", "ws"), status) as url,
        ):
            with pytest.raises((UnreachableError, websockets.InvalidStatus), match=str(status)):
                await connect(url)
        assert told == []

    asyncio.run(scenario())


def test_a_program_that_logs_everything_logs_no_token(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            room = await client.create_room()
            bot = await client.create_agent(room.id)
            secrets.extend((server.token, bot._token))
            async with FishjamNotifier(server.url, server.token) as listening, bot.connect():
                await anext(listening.events())

    secrets: list[str] = []
    caplog.set_level(logging.DEBUG)
    asyncio.run(scenario())
    assert len(secrets) == 2
    for secret in secrets:
        assert secret not in caplog.text


def test_sockets_that_a_vendors_client_opens_log_no_keys(caplog: pytest.LogCaptureFixture) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async def scenario() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live?key=sk-in-query"
            async with websockets.connect(
                url, additional_headers={"x-goog-api-key": "sk-in-header"}
            ) as socket:
                await socket.send("hello")
                await socket.recv()

    guard_libraries()
    guard_libraries()
    logging.getLogger("websockets.server").setLevel(logging.WARNING)
    caplog.set_level(logging.DEBUG, "websockets.client")
    asyncio.run(scenario())
    assert "x-goog-api-key: ***" in caplog.text
    assert "sk-in" not in caplog.text


PASSWORD = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{PASSWORD}@127.0.0.1:9",
        f"http://me:{PASSWORD}@127.0.0.1:99999",
        f"http://me:{PASSWORD}@{'a' * 70}.example",
        f"http://me:{PASSWORD}@[bad",
        f"http://me:{PASSWORD}@",
        f"ws://me:{PASSWORD}@127.0.0.1:9",
        f"ftp://me:{PASSWORD}@127.0.0.1:9",
        f"me:{PASSWORD}@127.0.0.1:9",
        f"http://127.0.0.1:9/?key={PASSWORD}",
    ],
)
def test_no_error_shows_the_password_of_a_url(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def by_agent() -> None:
        async with Agent("a", "r", TOKEN, url).connect():
            pass

    async def by_client() -> None:
        async with AsyncFishjamClient(url, TOKEN, retries=0) as client:
            assert PASSWORD not in repr(client)
            await client.get_all_rooms()

    async def by_notifier() -> None:
        assert PASSWORD not in repr(FishjamNotifier(url, TOKEN))
        await notifier(url)

    def blocking() -> None:
        with FishjamClient(url, TOKEN, retries=0) as client:
            client.get_all_rooms()

    caplog.set_level(logging.DEBUG)
    for attempt in (by_agent, by_client, by_notifier):
        with pytest.raises((UnreachableError, ConfigError)) as raised:
            asyncio.run(attempt())
        assert PASSWORD not in str(raised.value)
    with pytest.raises((UnreachableError, ConfigError)) as raised:
        blocking()
    assert PASSWORD not in str(raised.value)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("url", [LONG_NAME, "http://a..b", "http://.a", "http://xn--\u00fc.example"])
def test_names_that_can_be_none_are_told_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ConfigError, match="names no host"):
        FishjamClient(url, TOKEN)
    with pytest.raises(ConfigError, match="names no host"):
        FishjamNotifier(url, TOKEN)


@pytest.mark.parametrize("url", [LONG_NAME, "http://a..b", "http://127.0.0.1:99999", "http://[bad"])
def test_addresses_a_server_gives_that_are_none_are_unreachable(url: str) -> None:
    with pytest.raises(UnreachableError):
        asyncio.run(agent(url))


@given(st.text())
def test_any_text_can_be_shown_as_a_url(url: str) -> None:
    assert isinstance(shown_url(url), str)
    assert PASSWORD not in shown_url(f"http://u:{PASSWORD}@h/{url}".replace("\n", ""))


def test_long_secrets_go_before_short_ones_within_them_and_short_values_stay() -> None:
    hidden = {"secret": "${A}", "secret-2": "${B}", "tru": "${C}", "quo'te\\": "${D}"}
    assert conceal("secret-2, secret, true", hidden) == "${B}, ${A}, true"
    assert conceal(repr("quo'te\\"), hidden) == '"${D}"'
