"""What it takes to interrupt the bot: each condition alone, and in the turn machine."""

from __future__ import annotations

import pytest

from fishjam_agents.turns.machine import Confirmed, Suspected, TurnMachine, Withdrawn
from fishjam_agents.turns.policies import (
    BACKCHANNELS,
    AfterFirstReply,
    Backchannel,
    BargeIn,
    BargeInPolicy,
    MinimumVoice,
    MinimumWords,
    NeverInterrupt,
    Sound,
    tokens,
)
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.transcript import Transcript
from tests.turns.test_machine import QUIET, VOICE, Frame, play


def sound(words: str | None = None, seconds: float = 0.5) -> Sound:
    return Sound(seconds, seconds, words, transcribed=True)


@pytest.mark.parametrize(
    ("policy", "heard", "allowed"),
    [
        (MinimumVoice(0.5), sound(seconds=0.48), False),
        (MinimumVoice(0.5), sound(seconds=0.5), True),
        (MinimumWords(2), sound("stop"), False),
        (MinimumWords(2), sound("stop it"), True),
        (MinimumWords(2), sound(None), False),
        (MinimumWords(2), sound(None, seconds=1.2), True),
        (MinimumWords(2), Sound(0.5, 0.5), True),
        (Backchannel(), sound("Mhm, okay. Yeah!"), False),
        (Backchannel(), sound("I see, got it"), False),
        (Backchannel(), sound("okay but wait"), True),
        (Backchannel(), sound("I think"), True),
        (Backchannel(), sound("genau"), True),
        (Backchannel(("en", "de")), sound("ja, genau, okay"), False),
        (Backchannel((), ("hear, hear",)), sound("Hear hear"), False),
        (Backchannel(), sound(None), False),
        (Backchannel(), sound(None, seconds=1.3), True),
        (Backchannel(), Sound(0.5, 0.5), True),
        (NeverInterrupt(), sound("stop"), True),
    ],
)
def test_each_policy_judges_a_sound(policy: BargeInPolicy, heard: Sound, allowed: bool) -> None:
    assert policy.allows(heard) is allowed


def test_who_protects_replies() -> None:
    assert [NeverInterrupt().protects(done) for done in (0, 5)] == [True, True]
    assert [AfterFirstReply().protects(done) for done in (0, 1)] == [True, False]
    assert not MinimumVoice(1.0).protects(0)


def test_settings_stand_for_policies() -> None:
    assert BargeIn().policies() == ()
    everything = BargeIn(voice=0.5, words=2, backchannel=("de",), never=True, after_first_reply=True)
    assert everything.policies() == (
        *(NeverInterrupt(), AfterFirstReply(), MinimumVoice(0.5), MinimumWords(2), Backchannel(("de",))),
    )
    assert TurnSettings(barge_in=(MinimumWords(3),)).policies == (MinimumWords(3),)


@pytest.mark.parametrize("settings", [{"voice": 0.0}, {"words": 0}, {"backchannel": ("xx",)}])
def test_nonsense_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|has no words"):
        BargeIn(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", BACKCHANNELS)
def test_what_must_stop_a_bot_is_no_backchannel(language: str) -> None:
    stop = {"de": "stopp", "en": "stop", "es": "para", "fr": "arrête", "it": "ferma", "nl": "wacht"}
    assert stop.get(language, "stop") not in BACKCHANNELS[language]
    assert all(phrase == " ".join(tokens(phrase)) for phrase in BACKCHANNELS[language])


def kinds(events: list[object]) -> list[type]:
    return [type(event) for event in events if isinstance(event, (Suspected, Confirmed, Withdrawn))]


def test_a_minimum_of_voice_confirms_later_and_withdraws_what_is_shorter() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(voice=0.8)))
    assert kinds(play(machine, (VOICE, 39), bot=True)) == [Suspected]
    assert kinds(play(machine, (VOICE, 1), bot=True, at=0.78)) == [Confirmed]
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(voice=0.8)))
    assert kinds(play(machine, (VOICE, 30), (QUIET, 20), bot=True)) == [Suspected, Withdrawn]


def test_without_transcripts_words_hold_nothing_back() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(words=2)))
    assert kinds(play(machine, (VOICE, 18), bot=True)) == [Suspected, Confirmed]


def test_with_transcripts_words_decide_before_and_after_length() -> None:
    settings = TurnSettings(barge_in=BargeIn(backchannel=("en",)))
    machine = TurnMachine(settings)
    machine.expect_words()
    assert kinds(play(machine, (VOICE, 40), bot=True)) == [Suspected]
    assert kinds(list(machine.understood("mhm", False))) == []
    assert kinds(play(machine, (VOICE, 5), (QUIET, 20), bot=True, at=0.8)) == [Withdrawn]

    machine = TurnMachine(settings)
    machine.expect_words()
    play(machine, (VOICE, 5), bot=True)
    assert kinds(list(machine.understood("wait", False))) == [Confirmed]


@pytest.mark.parametrize("policies", [BargeIn(words=2), BargeIn(backchannel=("en",))])
def test_a_recogniser_that_understands_no_turn_is_waited_for_no_longer(policies: BargeIn) -> None:
    machine = TurnMachine(TurnSettings(barge_in=policies))
    machine.expect_words()
    for at in (0.0, 4.0):
        # A remark of half a second over the bot, and a turn of 1.2 s.
        assert kinds(play(machine, (VOICE, 25), (QUIET, 60), bot=True, at=at)) == [Suspected, Withdrawn]
        play(machine, (VOICE, 60), (QUIET, 50), at=at + 1.8)
    assert kinds(play(machine, (VOICE, 25), bot=True, at=8.0)) == [Suspected, Confirmed]
    play(machine, (QUIET, 50), at=8.5)
    # It is there after all.
    machine.understood("hello", True)
    assert kinds(play(machine, (VOICE, 25), (QUIET, 60), bot=True, at=10.0)) == [Suspected, Withdrawn]


def test_turns_that_are_understood_late_are_understood() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(words=2)))
    machine.expect_words()
    for at in (0.0, 4.0, 8.0):
        play(machine, (VOICE, 60), (QUIET, 50), at=at)
        machine.understood("all that I said", True)
    assert kinds(play(machine, (VOICE, 25), bot=True, at=12.0)) == [Suspected]


def test_words_confirm_nothing_where_nobody_judges_them() -> None:
    machine = TurnMachine()
    play(machine, (VOICE, 5), bot=True)
    assert machine.understood("mhm", False) == ()


def test_words_said_to_a_silent_bot_are_forgotten_with_their_turn() -> None:
    machine = TurnMachine()
    machine.understood("nobody speaks", False)
    assert machine.words == ""
    play(machine, (VOICE, 20), (Frame(-3.0), 40))
    assert machine.words == ""


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([("how", False), ("how are", False), ("How are you", False)], "How are you"),
        ([("how", False), ("are", False), ("you", False)], "how are you"),
        ([("how ar", False), ("How are you?", True), ("I", False)], "How are you? I"),
        ([("one.", True), ("two.", True)], "one. two."),
    ],
)
def test_recognisers_repeat_or_continue_what_is_not_final(
    pieces: list[tuple[str, bool]], expected: str
) -> None:
    transcript = Transcript()
    for text, final in pieces:
        transcript.add(text, final)
    assert str(transcript) == expected
