"""What a backend that wants it is told of a speaker's pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from fishjam_agents.backends import port as p
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.pipeline.conftest import converse, speech

__all__ = ["converse"]
Converse = Callable[..., MemoryCall]


def told(
    converse: Converse, script: Any, steps: Sequence[type[p.BackendInput]], **offers: Any
) -> list[p.BackendInput]:
    """The entries a backend got, audio left out."""
    entries: list[p.BackendInput] = []
    bot = AgentPipeline()
    bot.backend = Scripted([Step(kind, check=entries.append) for kind in steps], p.Capabilities(**offers))
    converse(bot, script)
    bot.backend.finish()
    return entries


async def speaks(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    await alice.speak(speech("alice_question.wav"))
    await call.wait_for("user_turn_ended")


async def hesitates(call: MemoryCall) -> None:
    (alice,) = await call.arrive("alice")
    for _ in range(5):
        await alice.speak(speech("alice_yes.wav"))
        await asyncio.sleep(0.45)
    await call.wait_for("user_turn_ended")


ONE = [p.TurnStartedInput, p.TurnPausedInput, p.TurnEndedInput]


def test_the_pause_that_ends_a_turn_has_all_of_its_audio(converse: Converse) -> None:
    _, paused, ended = told(converse, speaks, ONE, wants_turn_audio=True, wants_pauses=True)
    assert isinstance(paused, p.TurnPausedInput)
    assert isinstance(ended, p.TurnEndedInput)
    assert paused.peer == "alice"
    assert paused.at == ended.turn.end
    assert paused.audio is not None
    assert ended.audio is not None
    np.testing.assert_array_equal(paused.audio, ended.audio)


def test_a_backend_that_hears_all_the_time_gets_no_audio_again(converse: Converse) -> None:
    _, paused, _ = told(converse, speaks, ONE, wants_pauses=True)
    assert isinstance(paused, p.TurnPausedInput)
    assert paused.audio is None


def test_a_speaker_who_goes_on_is_told_and_only_the_first_pauses_are(converse: Converse) -> None:
    pauses = [p.TurnPausedInput, p.TurnResumedInput] * 3
    steps = [p.TurnStartedInput, *pauses, p.TurnEndedInput]
    entries = told(converse, hesitates, steps, wants_turn_audio=True, wants_pauses=True)
    lengths = [
        len(entry.audio)
        for entry in entries
        if isinstance(entry, p.TurnPausedInput) and entry.audio is not None
    ]
    assert lengths == sorted(set(lengths))
    assert len(lengths) == 3


@pytest.mark.parametrize("whole", [True, False])
def test_who_does_not_want_pauses_is_not_told(converse: Converse, whole: bool) -> None:
    told(converse, hesitates, [p.TurnStartedInput, p.TurnEndedInput], wants_turn_audio=whole)
