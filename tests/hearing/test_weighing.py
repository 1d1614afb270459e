"""The detector may spare itself the pitch of quiet frames: no turn comes out differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.gain import amplify
from fishjam_agents.audio.mixing import mix
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import FRAME_SAMPLES, Detector
from fishjam_agents.audio.wav import load_speech
from fishjam_agents.turns.machine import TurnEvent, TurnMachine

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"


def events(samples: Samples, barge_in: bool, *, spared: bool) -> list[TurnEvent]:
    detector, machine = Detector(), TurnMachine()
    found: list[TurnEvent] = []
    for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        accumulating = machine.accumulating if spared else True
        decision = detector.feed(samples[at : at + FRAME_SAMPLES], machine.in_speech, accumulating)
        found += machine.feed(decision, at / 16000 + 0.02, barge_in)
    return found


@pytest.mark.parametrize("name", ["alice_pause", "bob_long", "cougher", "alice_yes"])
@pytest.mark.parametrize("noise", [None, 20.0, 100.0])
def test_pitch_that_is_not_looked_for_would_have_changed_no_turn(name: str, noise: float | None) -> None:
    speech = amplify(load_speech(FIXTURES / f"{name}.wav", 16000), -15)
    if noise is not None:
        wave = np.random.default_rng(2).normal(0.0, noise, len(speech))
        speech = mix([speech, wave.astype(np.int16)])
    for barge_in in (False, True):
        assert events(speech, barge_in, spared=True) == events(speech, barge_in, spared=False)


def test_scores_are_weighed_only_between_the_first_voiced_frame_and_the_verdict() -> None:
    speech = load_speech(FIXTURES / "alice_question.wav", 16000)
    detector, machine = Detector(), TurnMachine()
    weighed = []
    for at in range(0, len(speech) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        machine.feed(detector.feed(speech[at : at + FRAME_SAMPLES], machine.in_speech), at / 16000 + 0.02)
        assert not (machine.accumulating and machine.in_speech)
        weighed.append(machine.accumulating)
    assert 0 < sum(weighed) < 10
