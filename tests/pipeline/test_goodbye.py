"""A model that ends the call: its goodbye, and who speaks over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fishjam_agents import AgentPipeline
from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.tools.builtin import end_call
from tests.pipeline.conftest import speech
from tests.pipeline.scripts import ABLE, calls, reply

Converse = Callable[..., MemoryCall]


@pytest.mark.parametrize("goodbye", [0.0, 4.0])
def test_end_call_lets_the_goodbye_be_heard(converse: Converse, goodbye: float) -> None:
    bot = AgentPipeline()
    bot.tools = (end_call,)
    bot.backend = Scripted(
        [
            calls(p.ToolCall("c1", "end_call")),
            Step(p.ToolResultInput, [1.0, *reply("bye", goodbye)] if goodbye else []),
        ],
        ABLE,
    )

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(600)

    call = converse(bot, script)
    assert call.kinds[-2] == ("reply_ended" if goodbye else "tool_called")
    assert (call.kinds[-1], call.observed[-1].reason) == ("call_ended", "bot")  # type: ignore[attr-defined]
    assert call.observed[-1].at < 10


CALLED_OFF = "[The user spoke before the call had ended, so it goes on: end it again when they want to go.]"


def leaves(
    *answer: p.BackendEvent | float | BackendError, cut: bool = True, notes: bool = True
) -> AgentPipeline:
    """A bot that says goodbye for four seconds, and answers once more if somebody speaks."""
    bot = AgentPipeline()
    bot.tools = (end_call,)
    bot.backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c1", "end_call")]),
            Step(p.ToolResultInput, [0.5, *reply("bye", 4.0)]),
            *([Step(p.InterruptInput)] if cut else []),
            Step(p.TurnStartedInput),
            *([Step(p.TextInput)] if notes else []),
            Step(p.TurnEndedInput, [1.0, *answer]),
        ],
        p.Capabilities(tools=True, text=notes, truncate=True),
    )
    return bot


class Leaving:
    """Somebody asks, and makes a sound so many seconds after the goodbye has begun."""

    def __init__(self, after: float, sound: str = "bob_question.wav") -> None:
        self.after = after
        self.sound = speech(sound)
        self.ended = 0.0

    async def __call__(self, call: MemoryCall) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            (ann,) = await call.arrive("ann")
            await ann.speak(speech("alice_question.wav"))
            await call.wait_for("reply_first_audio")
            await asyncio.sleep(self.after)
            await ann.speak(self.sound)
            await asyncio.sleep(60)
        finally:
            self.ended = loop.time() - begun


@pytest.mark.parametrize("notes", [True, False])
@pytest.mark.parametrize("after", [0.5, 2.0, 3.5, 4.3])
def test_who_interrupts_the_goodbye_calls_the_end_of_the_call_off(
    converse: Converse, after: float, notes: bool
) -> None:
    bot = leaves(*reply("answer", 1.0), cut=after < 4, notes=notes)
    call = converse(bot, script := Leaving(after))
    assert call.of("reply_ended")[-1].reply == "answer"
    assert script.ended > 60
    assert isinstance(bot.backend, Scripted)
    bot.backend.finish()
    texts = [entry.text for entry in bot.backend.entries if isinstance(entry, p.TextInput)]
    assert texts == ([CALLED_OFF] if notes else [])


def test_the_call_ends_when_nothing_follows_from_what_was_said_over_the_goodbye(converse: Converse) -> None:
    call = converse(leaves(), script := Leaving(1.0))
    (cut,) = call.of("reply_interrupted")
    assert 10 < script.ended - cut.at < 14


def test_a_cough_over_the_goodbye_does_not_keep_the_call(converse: Converse) -> None:
    call = converse(leaves(), script := Leaving(1.0, "cough.wav"))
    assert not call.of("reply_interrupted")
    (ended,) = call.of("reply_ended")
    assert script.ended - ended.at < 1.5


def test_a_call_whose_end_was_called_off_can_be_ended_again(converse: Converse) -> None:
    call = converse(leaves(*reply("answer", 1.0), p.ToolCall("c2", "end_call")), script := Leaving(1.0))
    last = call.of("reply_ended")[-1]
    assert last.reply == "answer"
    assert script.ended - last.at < 4
