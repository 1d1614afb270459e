"""How much quiet ends a turn, by each policy, and what the turn machine tells a policy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from fishjam_agents.turns.endpointing import (
    Adaptive,
    BackendEnds,
    EndOfTurn,
    Fixed,
    Model,
    Pause,
    PerSpeaker,
    Punctuation,
)
from fishjam_agents.turns.machine import TurnEnded, TurnMachine
from fishjam_agents.turns.settings import TurnSettings
from tests.turns.test_machine import QUIET, VOICE, play

PAUSE = Pause(0.3, 20.0, 2.0)
ADAPTED = pytest.approx(0.6)


def says(words: str) -> Pause:
    return Pause(0.3, 20.0, 2.0, words)


@pytest.mark.parametrize(
    ("policy", "pause", "expected"),
    [
        (Fixed(0.8), PAUSE, 0.8),
        (Punctuation(), PAUSE, ADAPTED),
        (Punctuation(), says("How are you?"), 0.4),
        (Punctuation(), says('She said "yes."'), 0.4),
        (Punctuation(), says("I would like"), 1.0),
        (Punctuation(incomplete=2.0), says("I would like,"), 2.0),
        (BackendEnds(), PAUSE, 2.0),
        (BackendEnds(), Pause(0.3, 20.0, 2.0, model_done=True), 0.0),
        (Model(lambda pause: None), PAUSE, ADAPTED),
        (Model(lambda pause: 0.5, least=0.2, most=1.0), PAUSE, pytest.approx(0.6)),
        (Model(lambda pause: 7.0), PAUSE, pytest.approx(0.3)),
    ],
)
def test_each_policy_has_its_silence(policy: EndOfTurn, pause: Pause, expected: float) -> None:
    assert policy.silence(pause) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fixed(0.0),
        lambda: PerSpeaker(least=0.9, most=0.5),
        lambda: Punctuation(complete=11),
        lambda: BackendEnds(0.1),
        lambda: Model(lambda pause: 1.0, least=2.0, most=1.0),
    ],
)
def test_lengths_out_of_reason_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must be between"):
        make()  # type: ignore[operator]


def test_a_speaker_with_long_pauses_is_waited_for() -> None:
    quick, slow, shared = PerSpeaker().fresh(), PerSpeaker().fresh(), PerSpeaker()
    for _ in range(12):
        quick.resumed(0.22)
        slow.resumed(0.6)
    assert quick.silence(PAUSE) == 0.5
    assert slow.silence(PAUSE) == pytest.approx(0.76)
    assert shared.fresh().silence(PAUSE) == shared.silence(PAUSE) == ADAPTED
    for _ in range(12):
        slow.resumed(0.22)
    assert slow.silence(PAUSE) == 0.5


def turns(settings: TurnSettings, pause: int, repeats: int) -> int:
    """How many turns a speaker has whose pauses are `pause` frames long."""
    machine = TurnMachine(settings)
    happened = play(machine, *((VOICE, 30), (QUIET, pause)) * repeats, (QUIET, 100))
    return sum(isinstance(event, TurnEnded) for event in happened)


def test_who_was_cut_is_cut_less_often_by_the_policy_that_learns() -> None:
    # 0.66 s of pause: longer than the 0.6 s that end a turn at 20 dB.
    assert turns(TurnSettings(), 33, 20) == 20
    assert turns(TurnSettings(end_of_turn=PerSpeaker()), 33, 20) == 5


def test_two_microphones_do_not_learn_from_each_other() -> None:
    settings = TurnSettings(end_of_turn=PerSpeaker())
    assert turns(settings, 33, 20) == turns(settings, 33, 20)


def test_a_turn_ends_sooner_once_its_words_are_a_sentence() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=Punctuation()))
    play(machine, (VOICE, 30))
    machine.understood("How are", False)
    machine.understood("How are you", False)
    assert not play(machine, (QUIET, 25), at=0.6)[1:]
    machine.understood("How are you?", True)
    assert isinstance(play(machine, (QUIET, 1), at=1.1)[-1], TurnEnded)
    assert machine.words == ""


def test_the_model_ends_the_turn_unless_the_user_goes_on() -> None:
    machine = TurnMachine(TurnSettings(end_of_turn=BackendEnds()))
    play(machine, (VOICE, 30))
    machine.model_done()
    play(machine, (VOICE, 5), at=0.6)
    assert not [e for e in play(machine, (QUIET, 60), at=0.7) if isinstance(e, TurnEnded)]
    machine.model_done()
    assert isinstance(play(machine, (QUIET, 1), at=1.9)[-1], TurnEnded)


@dataclass(frozen=True, slots=True)
class Unfinished(EndOfTurn):
    """The example of docs/turn-taking.md: words after which people go on."""

    def silence(self, pause: Pause) -> float:
        last = pause.words.lower().split()[-1:]
        return 1.5 if last and last[0] in {"and", "but", "because", "the"} else 0.5


def test_a_policy_of_ones_own_is_asked_at_every_quiet_frame_with_all_that_is_known() -> None:
    asked: list[Pause] = []

    def complete(pause: Pause) -> float:
        asked.append(pause)
        return 0.0

    machine = TurnMachine(TurnSettings(end_of_turn=Model(complete, least=0.1, most=0.2)))
    play(machine, (VOICE, 30))
    machine.understood("well", False)
    assert isinstance(play(machine, (QUIET, 10), at=0.6)[-1], TurnEnded)
    assert [round(pause.quiet, 2) for pause in asked] == [round(0.02 * n, 2) for n in range(1, 11)]
    assert {(pause.words, pause.snr, round(pause.spoken, 2)) for pause in asked} == {("well", 20.0, 0.6)}

    machine = TurnMachine(TurnSettings(end_of_turn=Unfinished()))
    play(machine, (VOICE, 30))
    machine.understood("I came because", False)
    assert not [e for e in play(machine, (QUIET, 50), at=0.6) if isinstance(e, TurnEnded)]


def test_adaptive_is_the_default() -> None:
    assert TurnSettings().ending == Adaptive()


@dataclass(frozen=True, slots=True)
class Noting(Fixed):
    resumed_after: list[float] = field(default_factory=list)

    def resumed(self, quiet: float) -> None:
        self.resumed_after.append(quiet)


def test_what_the_bot_says_between_two_turns_is_no_pause_of_the_speaker() -> None:
    policy = Noting()
    machine = TurnMachine(TurnSettings(end_of_turn=policy))
    play(machine, (VOICE, 30), (QUIET, 31))
    # The bot is under way for 0.4 s when its listener answers.
    play(machine, (QUIET, 20), (VOICE, 30), bot=True, at=1.22)
    assert policy.resumed_after == []
    play(machine, (QUIET, 40), at=2.22)
    # It has hardly begun when its listener goes on.
    play(machine, (QUIET, 5), (VOICE, 30), bot=True, at=3.02)
    assert policy.resumed_after == [pytest.approx(0.9, abs=0.03)]
