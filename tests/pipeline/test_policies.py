"""Policies of turn-taking in whole calls: who may interrupt, and with what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents.backends import port as p
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from fishjam_agents.turns.endpointing import BackendEnds, Punctuation
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech, tone

Converse = Callable[..., MemoryCall]
QUESTION = speech("alice_question.wav")


def bot(**turns: Any) -> AgentPipeline:
    made = AgentPipeline()
    made.backend = Scripted(offers=p.Capabilities(cancel=True))
    made.turns = TurnSettings(**turns)
    return made


def entries(call: MemoryCall, kind: type) -> list[Any]:
    backend = call.bot.backend
    assert isinstance(backend, Scripted)
    return [entry for entry in backend.entries if isinstance(entry, kind)]


def test_never_plays_every_reply_to_its_end_and_hears_the_turn_all_the_same(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        first, second = call.bot.play(tone(3.0)), call.bot.play(tone(1.0), interruptible=True)
        await asyncio.sleep(0.5)
        alice.say(QUESTION)
        assert not first.interruptible
        assert not (await first).interrupted
        assert second.interruptible
        await second

    call = converse(bot(barge_in=BargeIn(never=True)), script)
    assert len(entries(call, p.TurnEndedInput)) == 1
    assert [event.reply for event in call.of("reply_interrupted")] == ["play-2"]


def test_nothing_is_cancelled_at_the_model_when_nothing_was_cut(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        notice = call.bot.play(tone(4.0))
        await asyncio.sleep(0.5)
        await alice.speak(QUESTION)
        await notice

    call = converse(bot(barge_in=BargeIn(never=True)), script)
    assert not entries(call, p.InterruptInput)


def test_after_the_first_reply_the_next_may_be_interrupted(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        first, second = call.bot.play(tone(2.0)), call.bot.play(tone(8.0))
        await asyncio.sleep(0.3)
        alice.say(QUESTION[:16000])
        assert not (await first).interrupted
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(1.5)
        assert not second.done
        await alice.speak(QUESTION)
        assert (await second).interrupted

    converse(bot(barge_in=BargeIn(after_first_reply=True)), script)


def test_what_the_app_says_of_a_reply_counts_before_the_policy(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        await call.arrive("alice")
        first, second = call.bot.play(tone(0.5)), call.bot.play(tone(0.5))
        second.interruptible = False
        await first
        assert not second.interruptible
        await second

    converse(bot(barge_in=BargeIn(after_first_reply=True)), script)


@pytest.mark.parametrize(("said", "interrupted"), [("mhm, okay", False), ("no, wait", True)])
def test_the_app_tells_a_backchannel_from_an_interruption(
    converse: Converse, said: str, interrupted: bool
) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(4.0))
        call.bot.understood("a recogniser is at work")
        await asyncio.sleep(0.5)
        alice.say(QUESTION[: round(0.8 * 16000)])
        await call.wait_for("barge_in_suspected")
        await asyncio.sleep(0.2)
        call.bot.understood(said, peer="alice")
        assert (await reply).interrupted is interrupted

    call = converse(bot(barge_in=BargeIn(backchannel=("en",))), script)
    assert bool(call.of("barge_in_withdrawn")) is not interrupted


OWNING = p.Capabilities(own_turn_detection=True, transcripts=True, cancel=True)


@pytest.mark.parametrize(("said", "interrupted"), [("yeah", False), ("stop it", True)])
def test_a_model_that_owns_turns_is_held_back_by_the_policy_until_words_come(
    converse: Converse, said: str, interrupted: bool
) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(5.0))
        await asyncio.sleep(0.5)
        alice.say(QUESTION[: round(0.8 * 16000)])
        assert (await reply).interrupted is interrupted

    made = bot(mode="backend", barge_in=BargeIn(backchannel=("en",)))
    heard = [1.4, p.UserSpeech(True), 0.2, p.UserTranscript(said, final=False, peer="alice")]
    made.backend = Scripted(offers=OWNING, script=[Step(None, heard)])
    call = converse(made, script)
    assert bool(call.of("barge_in_confirmed")) is interrupted


def test_the_models_own_interruption_needs_no_policys_leave(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(5.0))
        await asyncio.sleep(0.5)
        alice.say(QUESTION[: round(0.8 * 16000)])
        assert (await reply).interrupted

    made = bot(mode="backend", barge_in=BargeIn(words=5))
    made.backend = Scripted(offers=OWNING, script=[Step(None, [1.4, p.Interrupted()])])
    converse(made, script)


async def ask(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(QUESTION)
    await call.wait_for("user_turn_ended")


def test_a_turn_ends_by_the_words_that_the_backend_understood(converse: Converse) -> None:
    delays = []
    for words in ("What is the weather", "What is the weather?"):
        made = bot(end_of_turn=Punctuation(complete=0.3, incomplete=0.9))
        script = [Step(p.TurnStartedInput, [p.UserTranscript(words)]), Step(p.TurnEndedInput)]
        made.backend = Scripted(offers=p.Capabilities(transcripts=True), script=script)
        (ended,) = converse(made, ask).of("user_turn_ended")
        delays.append(ended.at - ended.media_at)
    assert delays == [pytest.approx(0.9, abs=0.05), pytest.approx(0.3, abs=0.05)]


def test_a_turn_ends_when_the_model_says_so(converse: Converse) -> None:
    made = bot(end_of_turn=BackendEnds(limit=3.0))
    stopped = Step(p.TurnStartedInput, [len(QUESTION) / 16000 + 0.1, p.UserSpeech(False)])
    made.backend = Scripted(offers=OWNING, script=[stopped, Step(p.TurnEndedInput)])
    (ended,) = converse(made, ask).of("user_turn_ended")
    assert ended.at - ended.media_at < 1.0


def test_a_transcript_that_comes_after_its_turn_is_no_word_of_the_next_sound(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(3.0))
        await asyncio.sleep(0.5)
        alice.say(speech("grunt.wav"))
        assert not (await reply).interrupted

    made = bot(barge_in=BargeIn(words=1))
    made.backend = Scripted(script=[Step(None, [1.15, p.UserTranscript("what was said before", final=True)])])
    call = converse(made, script)
    assert call.of("barge_in_suspected")
    assert call.of("user_transcript")
