"""What people write in place of saying it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline.idle import IdleSettings
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.scripts import reply

Converse = Callable[..., MemoryCall]
ABLE = p.Capabilities(text=True, cancel=True, truncate=True)


def bot_of(*steps: Step, capabilities: p.Capabilities = ABLE) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Scripted(list(steps), capabilities)
    return bot


def test_who_writes_is_answered(converse: Converse) -> None:
    told: list[p.BackendInput] = []
    bot = bot_of(Step(p.TextInput, reply("r1", 0.5), check=told.append))

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        bot.submit_text("what time is it?", peer="ann")
        await call.wait_for("reply_ended")

    call = converse(bot, script)
    assert told == [p.TextInput("what time is it?")]
    (event,) = call.of("user_text")
    assert (event.text, event.peer) == ("what time is it?", "ann")


def test_who_writes_interrupts_the_bot_before_the_model_reads_it(converse: Converse) -> None:
    told: list[p.BackendInput] = []
    bot = bot_of(
        Step(p.TextInput, reply("r1", 10)),
        Step(p.InterruptInput, check=told.append),
        Step(p.TextInput, reply("r2", 0.5), check=told.append),
    )

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        bot.submit_text("a long story", peer="ann")
        await call.wait_for("reply_first_audio")
        await asyncio.sleep(2)
        bot.submit_text("a short one")
        await call.wait_for("reply_ended")

    call = converse(bot, script)
    (cut,) = call.of("reply_interrupted")
    assert 1.5 < cut.heard.seconds < 2.5
    assert told == [p.InterruptInput(cut.heard), p.TextInput("a short one")]
    assert [event.reply for event in call.of("reply_ended")] == ["r2"]


def test_a_notice_that_nobody_may_interrupt_is_said_to_its_end(converse: Converse) -> None:
    bot = bot_of(Step(p.TextInput, [0.1, *reply("r1", 0.5)]))

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        notice = bot.play(np.ones(24000, np.int16), 24000, interruptible=False)
        await call.wait_for("reply_first_audio")
        bot.submit_text("hello", peer="ann")
        assert not (await notice).interrupted
        await call.wait_for("reply_ended", 2)

    converse(bot, script)


def test_a_backend_that_takes_no_text_refuses_it_and_goes_on(converse: Converse) -> None:
    bot = AgentPipeline()
    bot.backend = Parrot()

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        with pytest.raises(BackendError, match="Parrot takes no text"):
            bot.submit_text("hello", peer="ann")

    assert converse(bot, script).of("user_text") == []


def test_with_a_session_for_everybody_only_the_writers_is_told(converse: Converse) -> None:
    capabilities = p.Capabilities(text=True, cancel=True, truncate=True, replies_wait=True)
    bot = bot_of(capabilities=capabilities)
    bot.hearing = HearingSettings("per_peer")

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        with pytest.raises(BackendError, match="no session for bob"):
            bot.submit_text("hello", peer="bob")

    assert converse(bot, script).of("user_text") == []


def test_who_writes_is_not_idle(converse: Converse) -> None:
    bot = bot_of(Step(p.TextInput, []), Step(p.TextInput, []))
    bot.idle = IdleSettings(after=5.0)

    async def script(call: MemoryCall) -> None:
        await call.arrive("ann")
        await asyncio.sleep(4)
        bot.submit_text("wait", peer="ann")
        await asyncio.sleep(4)
        assert call.of("user_idle") == []

    converse(bot, script)
