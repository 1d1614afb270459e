"""New instructions in a running call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.builtin import end_call
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
OFFERS = p.Capabilities(tools=True, replies_wait=True)


def updates(backend: Scripted) -> list[str | None]:
    return [entry.instructions for entry in backend.entries if isinstance(entry, p.UpdateInput)]


@pytest.mark.parametrize("thread", [False, True])
def test_the_model_is_given_them_at_once_and_after_a_lost_connection(
    converse: Converse, thread: bool
) -> None:
    backend = Scripted([Step(p.UpdateInput), Step(p.UpdateInput)], OFFERS)
    bot = AgentPipeline()
    bot.backend, bot.instructions = backend, "Be brief."

    def change(words: str | None) -> None:
        bot.instructions = words

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        for words in ("Be funny.", None):
            if thread:
                await asyncio.to_thread(change, words)
            else:
                change(words)
            await asyncio.sleep(0.1)
        assert bot.instructions is None
        backend.answer(BackendError("lost", retryable=True))
        await call.wait_for("outage")

    converse(bot, script)
    backend.finish()
    assert updates(backend) == ["Be funny.", ""]
    assert [made.instructions for made in backend.connections] == ["Be brief.", ""]


def test_everybodys_session_is_given_them_and_those_that_follow(converse: Converse) -> None:
    backend = Scripted([], OFFERS)
    bot = AgentPipeline()
    bot.backend, bot.hearing = backend, HearingSettings(mode="per_peer")

    async def script(call: MemoryCall) -> None:
        (ann,) = await call.arrive("ann")
        await ann.speak(speech("alice_question.wav"))
        bot.instructions = "Be funny."
        (bob,) = await call.arrive("bob")
        await bob.speak(speech("alice_question.wav"))
        await asyncio.sleep(0.1)

    converse(bot, script)
    assert backend.connections[1].instructions == "Be funny."
    assert set(updates(backend)) == {"Be funny."}


def test_what_a_call_reads_when_it_begins_is_told_of(
    converse: Converse, caplog: pytest.LogCaptureFixture
) -> None:
    bot = AgentPipeline()
    bot.backend = Scripted([], OFFERS)
    bot.tools = ()

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        assert not caplog.records
        bot.tools = (end_call,)
        bot.own = 1  # type: ignore[attr-defined]

    with caplog.at_level(logging.WARNING):
        converse(bot, script)
    told = "tools was set in a running call, which goes on as it was: set it before run()"
    assert caplog.messages == [told]
