"""End of turn by what a network hears: the rules, and what the turn machine makes of a prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.turns.dictation import Dictation
from fishjam_agents.turns.endpointing import EndOfTurn, Pause
from fishjam_agents.turns.machine import SpeechEnded, TurnEnded, TurnMachine
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.smart_turn import SmartTurn
from tests.turns.test_machine import QUIET, VOICE, Frame, play

PAUSE = Pause(0.3, 20.0, 2.0)
NOISY = Pause(0.3, 14.0, 2.0)
USUAL = pytest.approx(0.6)


def told(probability: float | None, words: str = "", settled: bool = True) -> Pause:
    return replace(PAUSE, probability=probability, words=words, settled=settled)


@pytest.mark.parametrize(
    ("settings", "pause", "seconds", "rule"),
    [
        ({}, PAUSE, USUAL, "no prediction"),
        ({}, told(0.9), 0.4, "complete"),
        ({}, told(0.88), 0.9, "undecided"),
        ({}, told(0.6), 0.9, "undecided"),
        ({}, told(0.5), 1.5, "unfinished"),
        ({}, told(0.9, "How are you?"), 0.4, "complete"),
        ({}, told(0.7, "How are you?"), 1.0, "undecided"),
        ({}, told(0.1, "How are you?"), 1.0, "sounds unfinished"),
        ({}, told(0.9, "How are"), 1.5, "reads unfinished"),
        ({}, told(0.7, "How are"), 1.5, "reads unfinished"),
        ({}, told(0.1, "How are"), 1.5, "unfinished"),
        ({}, told(0.9, "How are", settled=False), 1.0, "reads unfinished"),
        ({}, told(0.7, "How are", settled=False), 1.0, "reads unfinished"),
        ({}, told(0.1, "How are", settled=False), 1.5, "unfinished"),
        ({}, told(0.9, "How are you?", settled=False), 0.4, "complete"),
        ({}, replace(NOISY, probability=0.9), pytest.approx(0.66), "complete, in noise"),
        ({}, replace(NOISY, probability=0.1), 1.5, "unfinished"),
        ({}, replace(NOISY, probability=0.7), 0.9, "undecided"),
        ({"preset": "quick"}, told(0.9), 0.3, "complete"),
        ({"preset": "quick"}, told(0.7), USUAL, "undecided"),
        ({"preset": "patient"}, told(0.9), 1.0, "undecided"),
        ({"undecided": 0.4}, told(0.7), USUAL, "undecided"),
        ({"sentence": 0.7}, told(0.7, "How are you?"), 0.7, "undecided"),
        ({"sentence": 0.7}, told(0.1, "How are you?"), 0.7, "sounds unfinished"),
        ({"preset": "quick"}, told(0.7, "How are you?"), 0.8, "undecided"),
        ({"preset": "patient"}, told(0.65), 1.5, "unfinished"),
        ({"preset": "patient", "sure": 0.85}, told(0.9), 0.4, "complete"),
        ({"least": 0.5, "most": 2.0, "sure": 0.6, "unsure": 0.5}, told(0.7), 0.5, "complete"),
        ({"least": 0.5, "most": 2.0, "sure": 0.6, "unsure": 0.5}, told(0.4), 2.0, "unfinished"),
        ({"most": 0.7}, told(0.1, "How are you?"), 0.7, "sounds unfinished"),
        ({"most": 0.7}, told(0.7), 0.7, "undecided"),
        ({"preset": "dictation"}, told(0.9), USUAL, "no pace"),
        ({"preset": "dictation"}, told(0.4), 1.5, "unfinished"),
    ],
)
def test_each_rule_has_its_silence(settings: dict[str, Any], pause: Pause, seconds: Any, rule: str) -> None:
    policy = SmartTurn(**settings).fresh()
    # The recogniser is known to write punctuation.
    policy.silence(replace(PAUSE, words="Well."))
    assert policy.silence(pause) == seconds
    assert policy.rule(pause) == rule


def test_words_without_punctuation_count_once_the_recogniser_has_shown_some() -> None:
    policy = SmartTurn().fresh()
    assert policy.silence(told(0.9, "how are you")) == 0.4
    policy.silence(told(None, "How are you?"))
    assert policy.silence(told(0.9, "how are you")) == 1.5
    assert SmartTurn().fresh().silence(told(0.9, "how are you")) == 0.4


@given(
    st.floats(0, 1) | st.none(),
    st.floats(0, 40),
    st.text(max_size=5),
    st.sampled_from(["default", "quick", "patient"]),
)
def test_with_a_whole_sentence_nobody_waits_longer_than_a_second(
    probability: float | None, snr: float, words: str, preset: Any
) -> None:
    policy = SmartTurn(preset=preset).fresh()
    pause = Pause(0.3, snr, 2.0, words + "Yes.", probability=probability)
    assert 0.3 <= policy.silence(pause) <= 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmartTurn(sure=1.2),
        lambda: SmartTurn(sure=0.5, unsure=0.6),
        lambda: SmartTurn(sure=0.2),
        lambda: SmartTurn(least=0.1),
        lambda: SmartTurn(undecided=0.3),
        lambda: SmartTurn(sentence=0.2),
        lambda: SmartTurn(least=1.0, undecided=0.9),
        lambda: SmartTurn(least=1.0, most=0.9),
        lambda: Dictation(most=0.3),
    ],
)
def test_values_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|cannot"):
        make()


@pytest.mark.parametrize(
    ("make", "least", "undecided", "sentence"),
    [
        (lambda: SmartTurn(least=0.5), 0.5, 0.9, 1.0),
        (lambda: SmartTurn(least=0.95), 0.95, 0.95, 1.0),
        (lambda: SmartTurn(least=1.2), 1.2, 1.2, 1.2),
        (lambda: SmartTurn(preset="dictation", least=0.7), 0.7, 0.7, 1.0),
    ],
)
def test_a_greater_least_lifts_the_values_above_it(
    make: Callable[[], SmartTurn], least: float, undecided: float, sentence: float
) -> None:
    policy = make()
    assert policy.values[2:] == (least, undecided, sentence)
    heard = policy.fresh()
    assert heard.silence(told(0.7)) == pytest.approx(undecided)


def speak(machine: TurnMachine, *runs: tuple[Frame, int], at: float) -> list[Any]:
    return list(play(machine, *runs, at=at))


def opened(policy: EndOfTurn | None = None) -> TurnMachine:
    """A machine with a turn from 0 to 1 s."""
    machine = TurnMachine(TurnSettings(end_of_turn=policy or SmartTurn()))
    play(machine, (VOICE, 50))
    assert machine.turn_open
    return machine


def test_a_prediction_ends_the_turn_at_its_time() -> None:
    machine = opened()
    assert SpeechEnded(1.0) in speak(machine, (QUIET, 11), at=1.0)
    assert machine.paused_since == pytest.approx(1.0)
    assert machine.predicted(machine.paused_since or 0, 0.9) == ()
    assert TurnEnded(0.0, 1.0, "silence", "complete", 0.9) in speak(machine, (QUIET, 9), at=1.22)


def test_a_prediction_that_comes_after_its_time_ends_the_turn_at_the_next_frame() -> None:
    machine = opened()
    speak(machine, (QUIET, 25), at=1.0)
    machine.predicted(machine.paused_since or 0, 0.9)
    assert speak(machine, (QUIET, 1), at=1.5)


def test_without_a_prediction_the_turn_ends_as_usual() -> None:
    machine = opened()
    speak(machine, (QUIET, 29), at=1.0)
    assert TurnEnded(0.0, 1.0, "silence", "no prediction") in speak(machine, (QUIET, 1), at=1.58)


def test_a_prediction_is_void_when_the_speaker_goes_on() -> None:
    machine = opened()
    speak(machine, (QUIET, 11), at=1.0)
    first = machine.paused_since
    assert first is not None
    machine.predicted(first, 0.9)
    speak(machine, (VOICE, 5), (QUIET, 15), at=1.22)
    # Nor does an answer count that comes only now.
    machine.predicted(first, 0.9)
    assert not speak(machine, (QUIET, 12), at=1.62)
    assert TurnEnded(0.0, 1.32, "silence", "no prediction") in speak(machine, (QUIET, 5), at=1.86)


def test_a_prediction_counts_for_an_open_turn_alone() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=SmartTurn()))
    assert machine.paused_since is None
    machine.predicted(0.0, 0.9)
    speak(machine, (VOICE, 50), at=0.0)
    assert machine.paused_since is None
    assert not [event for event in speak(machine, (QUIET, 21), at=1.0) if isinstance(event, TurnEnded)]


def dictate(policy: EndOfTurn, gap: float, count: int, sound: float = 0.3) -> list[TurnEnded]:
    """Say short things with gaps between them."""
    machine = TurnMachine(TurnSettings(end_of_turn=policy))
    runs = [(VOICE, round(sound / 0.02)), (QUIET, round(gap / 0.02))] * count
    return [event for event in play(machine, *runs, (QUIET, 150)) if isinstance(event, TurnEnded)]


@pytest.mark.parametrize("policy", [Dictation(), SmartTurn(preset="dictation")])
@pytest.mark.parametrize("gap", [0.3, 0.6, 0.8, 1.0])
def test_a_dictation_at_a_steady_pace_is_one_turn(policy: EndOfTurn, gap: float) -> None:
    (ended,) = dictate(policy, gap, 7)
    assert ended.start == 0.0
    assert ended.end == pytest.approx(7 * (0.3 + gap) - gap)
    assert ended.rule == "pace over"


def test_a_dictation_waits_for_the_pace_it_has_learnt_and_no_longer() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=Dictation()))
    runs = [(VOICE, 15), (QUIET, 15)] * 4
    play(machine, *runs[:-1])
    assert not play(machine, (QUIET, 44), at=2.1)[1:]
    assert any(isinstance(event, TurnEnded) for event in play(machine, (QUIET, 2), at=2.98))


def test_a_sentence_is_no_dictation() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=Dictation()))
    happened = play(machine, (VOICE, 100), (QUIET, 31))
    assert TurnEnded(0.0, 2.0, "silence", "no pace") in happened


def test_pauses_that_differ_much_are_no_pace() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=Dictation()))
    happened = play(machine, (VOICE, 15), (QUIET, 12), (VOICE, 15), (QUIET, 44), (VOICE, 15), (QUIET, 31))
    assert [event.rule for event in happened if isinstance(event, TurnEnded)] == ["no pace"]


def test_another_turn_has_a_pace_of_its_own() -> None:
    policy = Dictation().fresh()
    slow = [Pause(0.2, 20.0, 0.3), Pause(1.1, 20.0, 0.3), Pause(0.2, 20.0, 1.7), Pause(1.0, 20.0, 1.7)]
    for pause in slow:
        policy.silence(pause)
    assert policy.silence(Pause(1.0, 20.0, 1.7)) == pytest.approx(1.9)
    assert policy.silence(Pause(0.2, 20.0, 0.3, onset=9.0)) == pytest.approx(1.2)
