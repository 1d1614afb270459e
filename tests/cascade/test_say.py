"""Words that the app has spoken (`say`), beside what the model says and through barge-ins."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from tests.cascade.calls import asks, bot, said
from tests.cascade.components import LETTER, Answers, Speaks, Understands
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]
NOTICE = "This call is recorded."


def test_words_that_are_protected_outlive_a_barge_in_over_the_reply_before_them(converse: Converse) -> None:
    llm = Answers([["One sentence of some length that goes on and on for long."], ["Yes?"]])
    pipeline = bot(Understands([["Hi."], ["Stop."]]), llm, tts := Speaks(pause=0.3))

    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_first_audio")
        notice = pipeline.say(NOTICE, interruptible=False)
        await alice.speak(speech("bob_question.wav"))
        await notice
        assert not notice.interrupted
        assert notice.heard.seconds == pytest.approx(len(NOTICE) * LETTER)
        await call.wait_for("reply_ended", 2)

    call = converse(pipeline, script)
    assert [cut.heard.reply for cut in call.of("reply_interrupted")] == ["reply-0-1"]
    assert tts.closed[0] == "closed"
    assert ("assistant", NOTICE) in said(llm)


def test_words_that_are_taken_back_before_their_turn_are_neither_made_nor_remembered(
    converse: Converse,
) -> None:
    llm = Answers([["Fine."]])
    pipeline = bot(Understands([["Hi."]]), llm, tts := Speaks(pause=0.3))

    async def script(call: MemoryCall) -> None:
        await call.arrive("bob")
        first, second, third = pipeline.say("Welcome."), pipeline.say("Not this."), pipeline.say("But this.")
        await asyncio.sleep(0.1)
        second.interrupt()
        await asyncio.gather(first, second, third)
        assert [speech.interrupted for speech in (first, second, third)] == [False, True, False]
        await asks(call)

    converse(pipeline, script)
    assert tts.said == ["Welcome.", "But this.", "Fine."]
    assert said(llm)[1:] == [("assistant", "Welcome."), ("assistant", "But this."), ("user", "Hi.")]


def test_an_app_that_ends_everything_ends_words_that_wait_too(converse: Converse) -> None:
    pipeline = bot(Understands([["Hi."]]), Answers([["Fine."]]), tts := Speaks(pause=0.3))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        playing, waiting = pipeline.say("Welcome to all."), pipeline.say(NOTICE, interruptible=False)
        await call.wait_for("reply_first_audio")
        pipeline.interrupt()
        await asyncio.gather(playing, waiting)
        assert waiting.interrupted
        await asyncio.sleep(5.0)

    converse(pipeline, script)
    assert tts.said == ["Welcome to all."]


def test_many_words_are_spoken_sentence_by_sentence(converse: Converse) -> None:
    pipeline = bot(Understands([["Hi."]]), Answers([["Fine."]]), tts := Speaks(pause=0.01))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        await pipeline.say("Welcome to **all**. Be brief! 😀")

    call = converse(pipeline, script)
    assert tts.said == ["Welcome to all.", "Be brief!"]
    assert len(call.of("reply_ended")) == 1


@pytest.mark.parametrize("words", ["", " ", "\U0001f600"])
def test_who_has_nothing_spoken_waits_for_nothing(converse: Converse, words: str) -> None:
    pipeline = bot(Understands([["Hi."]]), Answers([["Fine."]]), tts := Speaks())

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert not (await pipeline.say(words)).interrupted

    converse(pipeline, script)
    assert not tts.said


def test_who_waits_for_words_that_a_voice_fails_to_speak_is_told_that_they_are_over(
    converse: Converse,
) -> None:
    errors = deque([BackendError("hoarse", retryable=True)])
    pipeline = bot(Understands([["Hi."]]), Answers([["Fine."]]), Speaks(errors=errors))

    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        assert (await pipeline.say("Welcome.")).heard.seconds == 0

    converse(pipeline, script)


def test_a_greeting_in_words_is_said_once_to_the_first_who_joins_and_remembered(converse: Converse) -> None:
    pipeline = bot(Understands([["Hi."]]), llm := Answers([["Fine."]]), tts := Speaks())
    pipeline.greeting = "Hello, this is the reception."

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(2.0)
        assert not tts.said
        alice, _ = await call.arrive("alice", "bob")
        await call.wait_for("reply_ended")
        await alice.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    converse(pipeline, script)
    assert tts.said == ["Hello, this is the reception.", "Fine."]
    assert said(llm)[1:] == [("assistant", "Hello, this is the reception."), ("user", "Hi.")]


def test_an_apology_in_words_is_said_when_model_and_voice_have_failed(converse: Converse) -> None:
    lost = BackendError("the key is refused: check it", failure="auth")
    pipeline = bot(Understands([["Hi."]]), Answers([["Hello. "]]), tts := Speaks())
    pipeline.apology = "Our line is down. Please call again."

    async def script(call: MemoryCall) -> None:
        await asyncio.sleep(1.0)
        tts.errors.append(lost)
        await asks(call)
        await asyncio.sleep(30)

    kinds: list[str] = []
    pipeline.observers.append(lambda event: kinds.append(event.kind))
    with pytest.raises(BackendError, match="the key is refused"):
        converse(pipeline, script)
    assert tts.said == ["Our line is down.", "Please call again.", "Hello."]
    assert kinds[kinds.index("backend_failure") :] == [
        *("backend_failure", "reply_started", "reply_first_audio", "reply_generated", "reply_ended"),
        "call_ended",
    ]


def test_a_bug_in_a_voice_does_not_hide_the_failure_that_the_apology_is_for(converse: Converse) -> None:
    class Broken(Cascade):
        async def speak(self, text: str) -> AsyncIterator[Samples]:
            raise ValueError("a bug")
            yield

    lost = BackendError("the key is refused: check it", failure="auth")
    pipeline = AgentPipeline()
    voice = Speaks(errors=deque([lost] * 3))
    pipeline.backend = Broken([Understands([["Hi."]])], [Answers([["Hello. "]])], [voice])
    pipeline.apology = "We are sorry."
    told: list[str] = []
    pipeline.observers.append(lambda event: told.append(getattr(event, "message", "")))

    async def script(call: MemoryCall) -> None:
        await asks(call)
        await asyncio.sleep(30)

    with pytest.raises(BackendError, match="the key is refused"):
        converse(pipeline, script)
    (sentence,) = [message for message in told if message and message.startswith("the apology was not said")]
    assert "the voice failed (ValueError('a bug'), raised at" in sentence


def test_an_apology_that_no_voice_speaks_is_told_of(converse: Converse) -> None:
    lost = BackendError("the key is refused: check it", failure="auth")
    pipeline = bot(Understands([["Hi."]]), Answers([["Hello. "]]), Speaks(errors=deque([lost] * 3)))
    pipeline.apology = "We are sorry."
    told: list[str] = []
    pipeline.observers.append(lambda event: told.append(getattr(event, "message", "")))

    async def script(call: MemoryCall) -> None:
        await asks(call)
        await asyncio.sleep(30)

    with pytest.raises(BackendError, match="the key is refused"):
        converse(pipeline, script)
    assert "the apology was not said: the key is refused: check it" in told
