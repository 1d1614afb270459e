"""People in one room, each with a microphone: one question, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends import Parrot
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall
from quality.sounds import at_level, pink
from tests.pipeline.conftest import speech

Converse = Callable[..., MemoryCall]
RATE = 16000
MODES = ["active_speaker", "per_peer"]


def bot_of(mode: Any) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = Parrot()
    bot.hearing = HearingSettings(mode=mode)
    return bot


def microphones(
    voices: Sequence[Samples], gains: Sequence[Sequence[float | None]], delay: float
) -> list[Samples]:
    """What each microphone hears: of each voice so many dB, None nothing, later where it is not its own."""
    size = max(len(voice) for voice in voices) + RATE // 5
    heard = []
    for number, row in enumerate(gains):
        total = at_level(pink(np.random.default_rng(number), size / RATE + 0.1), -65.0)[:size].astype(float)
        for source, gain in enumerate(row):
            if gain is not None:
                late = 0 if source == number else round(delay * RATE)
                total[late : late + len(voices[source])] += voices[source] * 10 ** (gain / 20)
        heard.append(np.clip(total, -32768, 32767).astype(np.int16))
    return heard


def answered(converse: Converse, mode: str, heard: Sequence[Samples]) -> list[Any]:
    """The turns that were to be answered; as many replies were heard."""

    async def script(call: MemoryCall) -> None:
        peers = await call.arrive(*"abc"[: len(heard)])
        for peer, samples in zip(peers, heard, strict=True):
            peer.say(samples)
        await asyncio.sleep(30)

    call = converse(bot_of(mode), script)
    turns = [turn for turn in call.of("user_turn_ended") if turn.reason != "cancelled"]
    assert len(call.of("reply_ended")) == len(turns)
    return turns


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("decibels", [-6.0, -18.0, -25.0])
@pytest.mark.parametrize("delay", [0.0, 0.015, 0.06])
def test_one_voice_in_two_microphones_is_answered_once(
    converse: Converse, mode: str, decibels: float, delay: float
) -> None:
    for name in ("alice_question.wav", "bob_long.wav", "alice_yes.wav"):
        heard = microphones([speech(name)], [[0.0], [decibels]], delay)
        assert [turn.peer for turn in answered(converse, mode, heard)] == ["a"]


@pytest.mark.parametrize("mode", MODES)
def test_one_voice_in_three_microphones_is_answered_once(converse: Converse, mode: str) -> None:
    heard = microphones([speech("alice_long.wav")], [[-10.0], [0.0], [-20.0]], 0.02)
    assert [turn.peer for turn in answered(converse, mode, heard)] == ["b"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("quieter", [0.0, -8.0])
@pytest.mark.parametrize("crosstalk", [None, -18.0])
def test_two_who_speak_at_once_stay_two(
    converse: Converse, mode: str, quieter: float, crosstalk: float | None
) -> None:
    other = None if crosstalk is None else crosstalk + quieter
    gains = [[0.0, other], [crosstalk, quieter]]
    heard = microphones([speech("alice_question.wav"), speech("bob_long.wav")], gains, 0.015)
    assert sorted(turn.peer for turn in answered(converse, mode, heard)) == ["a", "b"]


@pytest.mark.parametrize("mode", MODES)
def test_who_answers_a_question_from_the_same_room_is_heard(converse: Converse, mode: str) -> None:
    question, reply = speech("alice_question.wav"), speech("bob_question.wav")
    reply = np.concatenate((np.zeros(len(question) + RATE // 4, np.int16), reply))
    heard = microphones([question, reply], [[0.0, -18.0], [-18.0, 0.0]], 0.015)
    assert sorted(turn.peer for turn in answered(converse, mode, heard)) == ["a", "b"]
