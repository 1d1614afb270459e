"""Nobody who goes on and on keeps the others from their answers, and people are let finish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import Parrot, Wav
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import FIXTURES, speech

Converse = Callable[..., MemoryCall]


def television(seconds: float, decibels: float) -> Samples:
    """Somebody who talks without a pause: int16 mono at 16 kHz, so many dB above the fixtures."""
    words = speech("bob_long.wav")
    loud = np.abs(words) > 300
    talk = words[np.convolve(loud, np.ones(3200), "same") > 0]
    louder = np.resize(talk, round(seconds * 16000)) * 10 ** (decibels / 20)
    return np.clip(louder, -32768, 32767).astype(np.int16)


def bot_of(backend: Any, **settings: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = backend
    bot.hearing = HearingSettings(**settings)
    return bot


def waits(call: MemoryCall) -> list[float]:
    """Seconds from the end of each of Ann's turns to the next reply's first sound."""
    sounds = [event.at for event in call.of("reply_first_audio")]
    ends = [event.at for event in call.of("user_turn_ended") if event.peer == "ann"]
    return [min((at for at in sounds if at >= end), default=float("inf")) - end for end in ends]


@pytest.mark.parametrize("decibels", [-25.0, -13.0, -6.0, 0.0])
@pytest.mark.parametrize("whole", [True, False], ids=["parrot", "wav"])
def test_a_television_delays_no_answer_of_another(converse: Converse, decibels: float, whole: bool) -> None:
    async def script(call: MemoryCall) -> None:
        bob, ann = call.room.join("bob"), call.room.join("ann")
        bob.say(television(45, decibels))
        await asyncio.sleep(6)
        for _ in range(2):
            await ann.speak(speech("alice_question.wav"))
            await asyncio.sleep(12)

    backend = Parrot() if whole else Wav(FIXTURES / "alice_yes.wav")
    call = converse(bot_of(backend), script)
    waited = waits(call)
    assert len(waited) == 2
    assert max(waited) < 6.0
    assert len(call.of("reply_started")) <= 3
    assert not call.of("reply_interrupted")


def test_with_sessions_of_their_own_a_television_delays_no_answer_of_another(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        bob, ann = call.room.join("bob"), call.room.join("ann")
        bob.say(television(30, -13.0))
        await asyncio.sleep(6)
        await ann.speak(speech("alice_question.wav"))
        await asyncio.sleep(12)

    assert max(waits(converse(bot_of(Parrot(), mode="per_peer"), script))) < 6.0


def test_a_television_is_not_answered_for_what_it_said_through_an_answer(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        bob, ann = call.room.join("bob"), call.room.join("ann")
        bob.say(television(20, -13.0))
        await asyncio.sleep(6)
        await ann.speak(speech("alice_question.wav"))
        await asyncio.sleep(30)

    call = converse(bot_of(Parrot()), script)
    assert len(call.of("reply_started")) == 1
    assert "cancelled" in [turn.reason for turn in call.of("user_turn_ended") if turn.peer == "bob"]


def test_a_remark_takes_the_floor_from_nobody_who_is_as_loud(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        ann.say(television(14, 0.0))
        await asyncio.sleep(4)
        await bob.speak(speech("alice_yes.wav"))
        await asyncio.sleep(20)
        await call.wait_for("reply_ended", 2)

    call = converse(bot_of(Parrot()), script)
    (ann,) = [turn for turn in call.of("user_turn_ended") if turn.peer == "ann"]
    assert ann.reason == "silence"
    assert len(call.of("reply_started")) == 2
    assert call.of("reply_started")[0].at >= ann.at


def test_a_person_who_was_passed_over_is_answered_afterwards(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        ann.say(television(11.0, 0.0))
        await asyncio.sleep(2)
        await bob.speak(speech("alice_question.wav"))
        await call.wait_for("reply_ended", 2)

    bot = bot_of(Parrot(at_least=6.0))
    call = converse(bot, script)
    turns = call.of("user_turn_ended")
    assert [(turn.peer, turn.reason) for turn in turns] == [("bob", "silence"), ("ann", "silence")]
    assert len(call.of("reply_ended")) == 2


def test_who_is_understood_keeps_the_floor_until_the_limit_of_a_turn(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        ann.say(television(20.0, -13.0))
        await asyncio.sleep(2)
        bot.understood("well, as I was saying", peer="ann")
        await bob.speak(speech("alice_question.wav"))
        await call.wait_for("reply_started")

    bot = bot_of(Parrot())
    bot.turns = TurnSettings(max_turn=10.0)
    call = converse(bot, script)
    first = call.of("user_turn_ended")
    assert [(turn.peer, turn.reason) for turn in first[:2]] == [("bob", "silence"), ("ann", "limit")]
    assert call.of("reply_started")[0].at > first[1].at - 0.1


@pytest.mark.parametrize("mode", ["active_speaker", "per_peer"])
def test_who_goes_on_before_the_answer_is_passed_over_for_nobody(converse: Converse, mode: str) -> None:
    async def script(call: MemoryCall) -> None:
        ann, _ = await call.arrive("ann", "bob")
        await ann.speak(speech("alice_question.wav"))
        await call.wait_for("user_turn_ended")
        await asyncio.sleep(0.3)
        await ann.speak(television(9.0, 0.0))
        await call.wait_for("reply_ended")

    call = converse(bot_of(Parrot(delay=1.0), mode=mode), script)
    assert [turn.reason for turn in call.of("user_turn_ended")][-1] == "silence"
    assert call.of("reply_first_audio")[0].at >= call.of("user_turn_ended")[-1].at


def test_who_presses_a_button_is_passed_over_for_nobody(converse: Converse) -> None:
    async def script(call: MemoryCall) -> None:
        ann, bob = await call.arrive("ann", "bob")
        bot.start_turn("ann")
        bot.start_turn("bob")
        ann.say(television(9.0, -13.0))
        await bob.speak(speech("alice_question.wav"))
        bot.end_turn("bob")
        await asyncio.sleep(7.0)
        assert not call.of("reply_started")
        bot.end_turn("ann")
        await call.wait_for("reply_ended", 2)

    bot = bot_of(Parrot())
    bot.turns = TurnSettings(mode="push_to_talk")
    turns = converse(bot, script).of("user_turn_ended")
    assert [(turn.peer, turn.reason) for turn in turns] == [("bob", "released"), ("ann", "released")]
