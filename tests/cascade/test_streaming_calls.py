"""Words that are there while they are spoken, in whole calls: who may interrupt, and when a turn ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fishjam_agents.backends.cascade import EndOfSpeech
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from fishjam_agents.turns.endpointing import BackendEnds, Punctuation
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from tests.cascade.calls import bot as cascade
from tests.cascade.components import Answers, Speaks, Streams
from tests.pipeline.conftest import converse, speech, tone

__all__ = ["converse"]

Converse = Callable[..., MemoryCall]
QUESTION = speech("alice_question.wav")


def bot(stt: Streams, kind: type[AgentPipeline] = AgentPipeline, **turns: Any) -> AgentPipeline:
    made = cascade(stt, Answers([["Yes. "]]), Speaks(), kind)  # type: ignore[arg-type]
    made.turns = TurnSettings(**turns)
    return made


@pytest.mark.parametrize(("said", "interrupted"), [("Mhm, okay.", False), ("No, wait.", True)])
def test_words_over_the_bots_voice_tell_a_backchannel_from_an_interruption(
    converse: Converse, said: str, interrupted: bool
) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(4.0))
        await asyncio.sleep(0.5)
        alice.say(QUESTION[: round(0.8 * 16000)])
        assert (await reply).interrupted is interrupted

    stt = Streams([[(0.6, said)]])
    call = converse(bot(stt, barge_in=BargeIn(backchannel=("en",))), script)
    assert bool(call.of("barge_in_confirmed")) is interrupted
    assert bool(call.of("barge_in_withdrawn")) is not interrupted
    assert stt.closed[0] == ("finished" if interrupted else "closed")
    partial = call.of("user_transcript")[0]
    (suspected,) = call.of("barge_in_suspected")[:1]
    assert (partial.text, partial.final, partial.start) == (said, False, suspected.media_at)


def test_a_sound_over_the_bots_voice_is_not_sent_where_nobody_judges_words(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        reply = call.bot.play(tone(3.0))
        await asyncio.sleep(0.5)
        alice.say(speech("grunt.wav"))
        await reply

    call = converse(bot(stt := Streams([[]])), script)
    assert call.of("barge_in_suspected")
    assert stt.closed == []


def test_words_reach_the_policy_that_ends_the_turn(converse: Converse) -> None:
    async def ask(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(QUESTION)
        await call.wait_for("reply_ended")

    delays = []
    for word in ("What", "What?"):
        made = bot(Streams([[(0.5, word)]]), end_of_turn=Punctuation(complete=0.3, incomplete=0.9))
        (ended,) = converse(made, ask).of("user_turn_ended")
        delays.append(ended.at - ended.media_at)
    assert delays == [pytest.approx(0.9, abs=0.05), pytest.approx(0.3, abs=0.05)]


def test_the_recogniser_may_end_the_turn(converse: Converse) -> None:
    async def ask(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(QUESTION)
        await call.wait_for("reply_ended")

    length = len(QUESTION) / 16000
    stt = Streams([[(0.5, "What?"), (length + 0.2, EndOfSpeech())]])
    (ended,) = converse(bot(stt, end_of_turn=BackendEnds(limit=3.0)), ask).of("user_turn_ended")
    assert ended.at - ended.media_at < 1.0


def test_an_app_is_told_partial_words_and_then_the_final_ones(converse: Converse) -> None:
    heard: list[tuple[str, bool, str | None]] = []

    class Listens(AgentPipeline):
        async def on_transcript(self, text: str, final: bool, peer: str | None) -> None:
            heard.append((text, final, peer))

    async def ask(call: MemoryCall) -> None:
        (alice,) = await call.arrive("alice")
        await alice.speak(QUESTION)
        await call.wait_for("reply_ended")

    call = converse(bot(Streams([[(0.5, "What"), (0.8, "is it?")]]), Listens), ask)
    assert [(text, final) for text, final, _ in heard] == [
        ("What", False),
        ("What is it?", False),
        ("What is it?", True),
    ]
    final = call.of("user_transcript")[-1]
    (turn,) = call.of("user_turn_ended")
    assert final.start == turn.start
    assert final.media_at == pytest.approx(turn.start - call.bot.turns.pre_roll + 0.8, abs=0.02)
