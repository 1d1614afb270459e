"""The events at both ends of a call: it has begun, and why it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.backends.port import ConversationEnded
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import EndReason
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, MemoryRoom, MemoryTrack, Scripted, Step, VirtualClock

Converse = Callable[..., MemoryCall]


class Bot(AgentPipeline):
    backend = Parrot()


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (lambda bot: bot.stop(), "stopped"),
        (lambda bot: bot.stop("max_call"), "max_call"),
        (lambda bot: bot.end_call(), "bot"),
        (lambda bot: (bot.end_call(), bot.stop("empty_room")), "empty_room"),
    ],
)
def test_a_call_says_that_it_began_and_why_it_ended(
    converse: Converse, ends: Callable[[AgentPipeline], Any], reason: EndReason
) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        ends(call.bot)
        await asyncio.sleep(30)

    call = converse(Bot(), script)
    assert call.kinds == ["call_started", "peer_joined", "call_ended"]
    assert call.of("call_ended")[0].as_dict().items() >= {"reason": reason}.items()


@pytest.mark.parametrize(
    ("failure", "reason", "message"),
    [
        (BackendError("the key was refused: make a new one"), "backend_failure", "the key was refused"),
        (ConversationEnded("customer-ended-call"), "model", None),
    ],
)
def test_the_backend_may_end_it(
    converse: Converse, failure: Any, reason: EndReason, message: str | None
) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([Step(None, [1.0, failure])])
    ended: list[Any] = []
    bot.observers.append(lambda event: ended.append(event) if event.kind == "call_ended" else None)

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(30)

    try:
        converse(bot, script)
    except BackendError:
        assert reason == "backend_failure"
    (event,) = ended
    assert event.reason == reason
    assert (event.message or "").startswith(message or "")


def test_a_session_that_breaks_ends_it(converse: Converse) -> None:
    bot, ended = Bot(), []
    bot.observers.append(lambda event: ended.append(event) if event.kind == "call_ended" else None)

    async def script(call: MemoryCall) -> None:
        call.room.session.deliver(OSError("reset by peer"))
        await asyncio.sleep(30)

    with pytest.raises(FishjamAgentsError, match="the media server ended the session"):
        converse(bot, script)
    assert [event.reason for event in ended] == ["session_lost"]  # type: ignore[attr-defined]


def test_the_hook_at_the_end_runs_after_the_event(converse: Converse) -> None:
    seen: list[str] = []

    class Noting(Bot):
        async def on_stop(self) -> None:
            seen.append("on_stop")

    bot = Noting()
    bot.observers.append(lambda event: seen.append(event.kind))

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(1)

    converse(bot, script)
    assert seen == ["call_started", "call_ended", "on_stop"]


def test_a_bot_may_be_stopped_before_its_track_is_there(virtual_clock: VirtualClock) -> None:
    async def script() -> None:
        async with MemoryRoom() as room:
            published, publish = asyncio.Event(), room.session.add_track

            async def add_track(options: Any) -> MemoryTrack:
                await published.wait()
                return await publish(options)

            room.session.add_track = add_track  # type: ignore[method-assign]
            bot, kinds = Bot(), list[str]()
            bot.observers.append(lambda event: kinds.append(event.kind))
            running = asyncio.create_task(bot.run(room.session, room=room))
            await asyncio.sleep(0)
            assert bot.call_id is not None
            assert (bot.connecting, bot.muted, bot.listening, bot.speech) == (True, False, False, None)
            with pytest.raises(FishjamAgentsError, match="already runs in a room"):
                await bot.run(room.session, room=room)
            bot.stop("max_call")
            published.set()
            await asyncio.wait_for(running, 5)
        assert kinds == ["call_started", "call_ended"]
        assert bot.call_id is None

    virtual_clock.run(script())
