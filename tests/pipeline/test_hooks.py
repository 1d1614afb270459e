"""Hooks: their names and arguments, as `check` and `run` look at them, and what they may do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryRoom, VirtualClock
from fishjam_agents.testing.plugin import StartCall


async def hook(self: AgentPipeline, *arguments: object) -> None:
    """Do nothing."""


def bot(base: type[AgentPipeline] = AgentPipeline, **names: object) -> AgentPipeline:
    made: AgentPipeline = type("Bot", (base,), {"backend": Parrot(), **names})()
    return made


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_trun", "on_turn"),
        ("on_peer_leave", "on_peer_left"),
        ("on_peer_join", "on_peer_joined"),
        ("on_stopp", "on_stop"),
        ("on_transcription", "on_transcript"),
        ("on_interrupt", "on_interrupted"),
    ],
)
def test_a_misspelt_hook_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    told = rf"Bot\.{name} is no hook: did you mean {meant}\?"
    with pytest.raises(FishjamAgentsError, match=told):
        bot(**{name: hook}).verify()
    with pytest.raises(FishjamAgentsError, match=told):
        bot(type(bot(**{name: hook}))).verify()


def test_methods_of_ones_own_are_left_alone() -> None:
    bot(on_order=hook, on_menu_opened=hook, on_reply=hook, turned=hook, on_turned=lambda self: None).verify()


def test_private_names_that_a_pipeline_has_itself_are_refused() -> None:
    with pytest.raises(
        FishjamAgentsError, match=r"Bot\._call hides what AgentPipeline has by that name: give"
    ):
        bot(_call=hook).verify()
    made = bot(_invoices=())
    made.verify()
    made._attach = ["invoice.pdf"]  # type: ignore[assignment, method-assign]
    with pytest.raises(FishjamAgentsError, match=r"Bot\._attach hides what AgentPipeline has by that name"):
        made.verify()


def test_a_hook_that_is_no_coroutine_is_refused() -> None:
    with pytest.raises(
        FishjamAgentsError, match=r"Bot\.on_turn must be a coroutine: write `async def on_turn`"
    ):
        bot(on_turn=lambda self, turn: None).verify()


def test_a_hook_that_computes_for_long_is_named_with_its_time(
    start_call: StartCall, caplog: pytest.LogCaptureFixture
) -> None:
    class Busy(AgentPipeline):
        backend = Parrot()

        async def on_peer_joined(self, peer: str) -> None:
            await asyncio.sleep(1)
            time.sleep(0.15)  # noqa: ASYNC251 - what users do

        async def on_peer_left(self, peer: str) -> None:
            await asyncio.sleep(1)

    call = start_call(Busy())
    call.join("ann")
    call.wait(2)
    call.leave("ann")
    call.wait(2)
    (told,) = [
        record.getMessage() for record in caplog.records if "without an `await`" in record.getMessage()
    ]
    assert re.match(r"The hook on_peer_joined, at .*test_hooks\.py:\d+ computed or waited for 0\.\d+ s", told)


def test_a_hook_that_does_not_end_is_left_behind(
    caplog: pytest.LogCaptureFixture, virtual_clock: VirtualClock
) -> None:
    ends: list[str] = []

    class Stubborn(AgentPipeline):
        backend = Parrot()

        async def on_start(self) -> None:
            while not ends:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)

    async def call() -> float:
        bot = Stubborn()
        async with MemoryRoom() as room:
            running = asyncio.create_task(bot.run(room.session, room=room))
            await asyncio.sleep(1)
            bot.stop()
            await running
        took = asyncio.get_running_loop().time()
        ends.append("now")
        return took

    assert virtual_clock.run(call()) < 10
    assert any(
        "on_start" in each.getMessage() and "left behind" in each.getMessage() for each in caplog.records
    )


def test_a_hook_may_be_an_attribute_of_the_bot(start_call: StartCall) -> None:
    joined: list[str] = []

    async def greet(peer: str) -> None:
        joined.append(peer)

    made = bot()
    made.on_peer_joined = greet  # type: ignore[method-assign]
    call = start_call(made)
    call.join("ann")
    call.wait(0.1)
    assert joined == ["ann"]
