"""What the app asks the model of a cascade to say: once, in the model's words, and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.backends.cascade import LLMToolCall
from fishjam_agents.backends.cascade.reply import ASKED
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from fishjam_agents.tools.tool import tool
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import Answers, Speaks, Understands
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def test_the_model_opens_the_call_and_only_what_it_said_is_remembered(converse: Converse) -> None:
    llm = Answers([["Good morning. "], ["Fine."]])
    pipeline = bot(Understands([["Hi."]]), llm, tts := Speaks())

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        opening = await pipeline.respond("Greet the caller.")
        assert (opening.id, opening.heard.text) == ("say-1", "Good morning.")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    converse(pipeline, script)
    assert tts.said == ["Good morning.", "Fine."]
    assert said(llm, 0)[1:] == [("user", f"[{ASKED}: Greet the caller.]")]
    assert said(llm, 1)[1:] == [("assistant", "Good morning."), ("user", "Hi.")]


def test_it_comes_after_the_answer_that_is_being_given(converse: Converse) -> None:
    llm = Answers([["A long answer that goes on. "], ["And your number? "]])
    pipeline = bot(Understands([["Hi."]]), llm, tts := Speaks(pause=0.05))

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        await pipeline.respond("Ask for the number.")

    call = converse(pipeline, script)
    assert tts.said == ["A long answer that goes on.", "And your number?"]
    assert not call.of("reply_interrupted")


def test_a_tool_that_it_calls_belongs_to_the_same_reply(converse: Converse) -> None:
    class Shop(AgentPipeline):
        @tool
        async def weather(self) -> str:
            """The weather."""
            return "sun"

    llm = Answers([[LLMToolCall("c1", "weather", {})], ["The sun shines. "]])
    pipeline = bot(Understands([["Hi."]]), llm, Speaks(), kind=Shop)

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert (await pipeline.respond("Say something about the weather.")).heard.text == "The sun shines."

    converse(pipeline, script)
    assert [role for role, _ in said(llm)] == ["system", "user", "assistant", "tool"]


def test_one_that_fails_is_over_and_the_call_goes_on(converse: Converse) -> None:
    away = BackendError("it is away", retryable=True)
    pipeline = bot(Understands([["Hi."]]), Answers([[away], ["Fine. "]]), tts := Speaks())

    async def script(call: MemoryCall) -> None:
        await call.arrive("bob")
        async with asyncio.timeout(5):
            assert not (await pipeline.respond("Greet the caller.")).heard.seconds
        await asks(call)

    converse(pipeline, script)
    assert tts.said == ["Fine."]


def test_who_speaks_meanwhile_is_answered_first(converse: Converse) -> None:
    llm = Answers([["The answer. "], ["And your number? "]])
    pipeline = bot(Understands([["Hi."]]), llm, tts := Speaks())

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        speaking = asyncio.create_task(alice.speak(speech("alice_question.wav")))
        await call.wait_for("user_started_speaking")
        await asyncio.sleep(1.0)
        reply, taken_back = pipeline.respond("Ask for the number."), pipeline.respond("Not this.")
        taken_back.interrupt()
        await speaking
        await reply
        assert taken_back.interrupted

    call = converse(pipeline, script)
    assert tts.said == ["The answer.", "And your number?"]
    assert len(llm.asked) == 2
    assert not call.of("reply_interrupted")
