"""A call whose audio the media server carries: what ends it, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.remote import BridgedPeer, RemoteBackend, RemoteCall, VapiInvitation
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.session import PeerView
from fishjam_agents.testing import VirtualClock


class _Room:
    """An empty room."""

    peers: Mapping[str, PeerView] = {}

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class _Peer:
    peer_id = "model"

    async def joined(self) -> None: ...

    async def left(self) -> str | None:
        return None


class _Call:
    """A vendor's call that ends when it is told so, and cannot send what is no text."""

    invitation = VapiInvitation("key", "call")

    def __init__(self, emit: Callable[[port.BackendEvent], None]) -> None:
        self._emit = emit

    async def send(self, item: port.BackendInput) -> None:
        if isinstance(item, port.ControlInput):
            raise TypeError("it is not JSON serializable")

    async def follow(self, peer: BridgedPeer) -> str:
        self._emit(port.UserTranscript("hello", True))
        await asyncio.sleep(5.0)
        return "customer-ended-call"


class _Remote(RemoteBackend):
    closed = False

    @asynccontextmanager
    async def call(self, context: port.BackendContext) -> AsyncIterator[RemoteCall]:
        try:
            yield _Call(context.emit)
        finally:
            self.closed = True


@asynccontextmanager
async def _invite(invitation: VapiInvitation) -> AsyncIterator[BridgedPeer]:
    yield _Peer()


class _Bot(AgentPipeline):
    def __init__(self) -> None:
        super().__init__()
        self.backend = _Remote()
        self.heard: list[str] = []
        self.told: list[events.Event] = []
        self.observers.append(self.told.append)

    async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
        self.heard.append(text)


def test_the_end_and_the_transcripts_of_a_call_are_told(virtual_clock: VirtualClock) -> None:
    async def scenario() -> _Bot:
        bot = _Bot()
        await bot.attend(_invite, _Room())
        return bot

    bot = virtual_clock.run(scenario())
    assert bot.heard == ["hello"]
    assert [event.kind for event in bot.told] == [
        "call_started",
        "user_transcript",
        "backend_ended",
        "call_ended",
    ]
    assert isinstance(bot.told[-1], events.CallEnded)
    assert bot.told[-1].reason == "model"


def test_a_bug_in_sending_is_the_error_that_ends_the_call(virtual_clock: VirtualClock) -> None:
    class Bot(_Bot):
        async def on_start(self) -> None:
            self.control({"value": object()})

    async def scenario() -> _Bot:
        bot = Bot()
        with pytest.raises(TypeError, match="not JSON"):
            await bot.attend(_invite, _Room())
        return bot

    bot = virtual_clock.run(scenario())
    assert isinstance(bot.backend, _Remote)
    assert bot.backend.closed
    (ended,) = (event for event in bot.told if isinstance(event, events.CallEnded))
    assert (ended.reason, ended.message) == ("error", "it is not JSON serializable")
