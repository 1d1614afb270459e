"""Faults leave nothing in memory: no object of a connection that was lost outlives the one that follows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import GeminiEmulator
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime
from google.genai import Client
from websockets.asyncio.client import ClientConnection

from fishjam_agents.backends import link
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.port import Backend
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, FishjamNotifier, Reconnected, UnreachableError
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import Cut, FaultProxy, Refuse, Reset

OFTEN = 10
AT_ONCE = Backoff(first=0.01, longest=0.02)
KEPT = (FishjamAgentsError, ClientConnection, Client, asyncio.Task)
"""Types of which a lost connection has one, and servers, which keep what tests may ask for, have none."""

Fault = Callable[[], Awaitable[None]]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def held() -> Counter[str]:
    gc.collect()
    return Counter(type(one).__qualname__ for one in gc.get_objects() if issubclass(type(one), KEPT))


async def leaves_nothing(fault: Fault) -> None:
    """Hold nothing more after many faults than before the first."""
    await asyncio.sleep(0.2)
    before = held()
    for _ in range(OFTEN):
        await fault()
    # What ends in the background has ended.
    for _ in range(100):
        more = held() - before
        if not more:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{OFTEN} faults left {dict(more)}")


async def cut_vendor(backend: Backend, proxy: FaultProxy) -> None:
    back: asyncio.Queue[float] = asyncio.Queue()
    bot = BackendLink(backend, "call", lambda event: None, back.put_nowait)
    running = asyncio.create_task(bot.run())
    await bot.connected.wait()

    async def fault() -> None:
        with proxy.inject(Cut()):
            await back.get()

    async with asyncio.timeout(50):
        await leaves_nothing(fault)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def without_logs() -> Iterator[None]:
    # pytest keeps all records, and they the errors that they are about.
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BACKOFF", AT_ONCE)
    monkeypatch.setattr(link, "MAX_ATTEMPTS", 1000)


def test_cut_gemini(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with GeminiEmulator() as far, FaultProxy(far.url) as proxy:
            for name, value in {**far.environment, "GOOGLE_GEMINI_BASE_URL": proxy.url}.items():
                monkeypatch.setenv(name, value)
            await cut_vendor(Gemini("gemini-3.8-live"), proxy)

    run(scenario)


def test_cut_openai() -> None:
    async def scenario() -> None:
        async with RealtimeEmulator() as far, FaultProxy(far.base_url) as proxy:
            await cut_vendor(Realtime(base_url=proxy.url, api_key="k"), proxy)

    run(scenario)


def test_cut_agent() -> None:
    async def scenario() -> None:
        async with (
            EmbeddedServer() as server,
            FaultProxy(server.url) as proxy,
            AsyncFishjamClient(proxy.url, server.token) as client,
        ):
            room = await client.create_room()
            agent = await client.create_agent(room.id)
            back = asyncio.Event()
            async with agent.connect(reconnect=True, backoff=AT_ONCE) as session:
                await session.add_track()
                listening = asyncio.create_task(session.listen(lambda message: back.set()))

                async def fault() -> None:
                    back.clear()
                    with proxy.inject(Cut(), path="/socket/agent"):
                        await back.wait()

                await leaves_nothing(fault)
                await session.disconnect()
                await listening

    run(scenario)


def test_cut_notifier() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, FaultProxy(server.url) as proxy:
            notifier = FishjamNotifier(proxy.url, server.token, reconnect=True, backoff=AT_ONCE)
            back = asyncio.Event()

            @notifier.on(Reconnected)
            def reconnected(event: Reconnected) -> None:
                back.set()

            async with notifier:

                async def fault() -> None:
                    back.clear()
                    with proxy.inject(Cut(), path="/socket/server"):
                        await back.wait()

                await leaves_nothing(fault)

    run(scenario)


def test_reset_and_refused_requests() -> None:
    async def scenario() -> None:
        async with (
            EmbeddedServer() as server,
            FaultProxy(server.url) as proxy,
            AsyncFishjamClient(proxy.url, server.token) as client,
        ):
            await client.create_room()

            async def fault() -> None:
                for kind in (Reset(), Refuse("reset")):
                    with proxy.inject(kind, path="/room"), contextlib.suppress(UnreachableError):
                        await client.get_all_rooms()

            await leaves_nothing(fault)

    run(scenario)
