"""A connection that is cut before it is open is the network's fault, and no mistake in an address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fishjam_agents_gemini.failures import classify
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime
from fishjam_agents_vapi import Vapi
from fishjam_agents_vapi.emulator import VapiEmulator
from websockets.exceptions import InvalidMessage

from fishjam_agents.backends.port import Backend, BackendContext
from fishjam_agents.errors import BackendError
from fishjam_agents.fishjam import Agent, FishjamNotifier, UnreachableError
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import FaultProxy, Refuse

CUT = "the connection was cut before its answer"


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def refused(backend: Backend) -> BackendError:
    with pytest.raises(BackendError) as caught:
        async with backend.connect(BackendContext("c", lambda event: None)):
            pass
    return caught.value


@pytest.mark.parametrize("how", ["close", "reset"])
def test_fishjam_cannot_be_reached_then(how: str) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, FaultProxy(server.url) as proxy:
            proxy.inject(Refuse(how), path="/socket")  # type: ignore[arg-type]
            with pytest.raises(UnreachableError, match=f"is the server running.*{CUT}"):
                async with Agent("a", "r", "t", proxy.url).connect():
                    pass
            with pytest.raises(UnreachableError, match=f"is the server running.*{CUT}"):
                async with FishjamNotifier(proxy.url, server.token):
                    pass

    run(scenario)


def test_vapi_is_tried_again_then() -> None:
    async def scenario() -> None:
        async with VapiEmulator() as vapi, FaultProxy(vapi._media_url) as media:
            vapi._media_url = media.url
            media.inject(Refuse("close"), path="/")
            error = await refused(Vapi(assistant_id="a", api_key=vapi.key, url=vapi.url))
        assert error.retryable
        assert (
            str(error)
            == "the connection to Vapi's media socket was cut before it was open: check the network"
        )

    run(scenario)


def test_openai_is_tried_again_then() -> None:
    async def scenario() -> None:
        async with RealtimeEmulator() as far, FaultProxy(far.base_url) as proxy:
            proxy.inject(Refuse("close"))
            error = await refused(Realtime(base_url=proxy.url, api_key="k"))
        assert error.retryable
        assert "(the connection was cut): check base_url and the network" in str(error)

    run(scenario)


def test_gemini_is_tried_again_then() -> None:
    cut = InvalidMessage("did not receive a valid HTTP response")
    cut.__cause__ = EOFError()
    error = classify(cut, model="m", opening=True)
    assert error.retryable
    assert str(error) == "Gemini: the connection was cut before it was open: check the network"
    other = InvalidMessage("did not receive a valid HTTP response")
    assert "does not speak the Live API" in str(classify(other, model="m", opening=True))
