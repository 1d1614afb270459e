"""Speech in what a backend hears, as our voice detection finds it."""

from __future__ import annotations

from itertools import groupby
from typing import Literal

import pytest

from fishjam_agents.backends import Capabilities
from fishjam_agents.backends import port as p
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted
from fishjam_agents.turns.settings import TurnSettings
from tests.pipeline.conftest import speech

WORDS = speech("alice_question.wav")


def heard(mode: Literal["local", "backend"]) -> tuple[MemoryCall, list[p.AudioInput]]:
    backend = Scripted([], Capabilities(own_turn_detection=True))
    bot = AgentPipeline()
    bot.backend, bot.turns = backend, TurnSettings(mode=mode)
    with MemoryCall(bot) as call:
        ann = call.join("ann")
        call.wait(1.0)
        ann.say(WORDS)
        call.wait(len(WORDS) / 16000 + 2.0)
    return call, [item for item in backend.entries if isinstance(item, p.AudioInput)]


def test_audio_of_a_turn_is_speech() -> None:
    _, frames = heard("local")
    assert len(frames) > len(WORDS) / 320
    assert all(frame.speech for frame in frames)


def test_where_the_model_finds_turns_speech_is_what_our_voice_detection_follows() -> None:
    _, frames = heard("backend")
    runs = [
        (is_speech, sum(f.seconds for f in run)) for is_speech, run in groupby(frames, lambda f: f.speech)
    ]
    assert [is_speech for is_speech, _ in runs] == [False, True, False]
    # From a few frames after the first sound to the end of the turn, which is known after some quiet.
    assert runs[1][1] == pytest.approx(len(WORDS) / 16000 + 0.5, abs=0.4)
