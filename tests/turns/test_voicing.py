"""Sounds that are no voice, however many of them there are."""

from __future__ import annotations

import pytest

from audio_fixtures.corpus import RATE, rng_for
from fishjam_agents.turns.machine import Confirmed, Suspected, TurnMachine, TurnStarted, Withdrawn
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from quality.microphone import VADS, Span, listen
from quality.sounds import at_level, click, cough, knock, pink, to_samples
from tests.turns.test_machine import QUIET, VOICE, play

SPACINGS = (0.2, 0.25, 0.3, 0.35)


def heard(make, seconds: float, spacing: float, count: int, seed: int, *, bot_speaks: bool) -> list[Span]:  # type: ignore[no-untyped-def]
    """What is taken for speech where a sound of so many seconds comes again at every `spacing`."""
    rng = rng_for(seed, "series")
    wave = at_level(pink(rng, 3.0 + count * spacing), -60.0)
    for number in range(count):
        burst = at_level(make(rng, seconds), -15.0)
        start = round((2.0 + number * spacing) * RATE)
        wave[start : start + len(burst)] += burst
    return listen(VADS["default"], to_samples(wave), bot_speaks=bot_speaks)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_three_knocks_end_no_reply_and_are_no_turn(spacing: float) -> None:
    for seed in range(16):
        over_the_bot = heard(knock, 0.1, spacing, 3, seed, bot_speaks=True)
        assert over_the_bot, seed
        assert not any(span.confirmed for span in over_the_bot), seed
        assert not any(span.confirmed for span in heard(knock, 0.1, spacing, 3, seed, bot_speaks=False)), seed


@pytest.mark.parametrize(("seconds", "spacing", "count"), [(0.1, 0.15, 3), (0.1, 0.18, 3), (0.08, 0.15, 20)])
def test_fast_knocks_end_no_reply(seconds: float, spacing: float, count: int) -> None:
    for seed in range(8):
        spans = heard(knock, seconds, spacing, count, seed, bot_speaks=True)
        assert spans, seed
        assert not any(span.confirmed for span in spans), seed


@pytest.mark.parametrize(
    ("make", "seconds", "spacing"),
    [(knock, 0.06, 0.26), (knock, 0.08, 0.35), (knock, 0.06, 0.5), (click, 0.05, 0.14), (cough, 0.3, 0.6)],
    ids=["drumming", "slower", "slowest", "typing", "coughing"],
)
def test_a_long_series_silences_the_bot_for_moments_only(make, seconds: float, spacing: float) -> None:  # type: ignore[no-untyped-def]
    for seed in range(4):
        spans = heard(make, seconds, spacing, round(20 / spacing), seed, bot_speaks=True)
        assert not any(span.confirmed for span in spans), seed
        assert len(spans) <= 6
        assert all(span.until - span.onset <= 1.51 for span in spans)
        assert sum(span.until - span.suspected for span in spans) < 5.0


def test_a_suspicion_without_a_verdict_is_withdrawn_and_followed_in_silence() -> None:
    machine = TurnMachine()
    taps = [(VOICE, 3), (QUIET, 10)] * 30
    kinds = [type(event) for event in play(machine, *taps, bot=True)]
    assert kinds == [Suspected, Withdrawn]
    assert machine.in_speech
    assert not machine.announced
    kinds = [type(event) for event in play(machine, (VOICE, 30), bot=True, at=7.8)]
    assert kinds[:2] == [Suspected, Confirmed]
    assert machine.announced


def test_three_withdrawn_sounds_make_the_fourth_noise_and_a_voice_ends_that() -> None:
    machine = TurnMachine()
    burst = [(VOICE, 6), (QUIET, 40)]
    assert [type(e) for e in play(machine, *burst * 3, bot=True)] == [Suspected, Withdrawn] * 3
    assert play(machine, *burst, bot=True, at=2.76) == []
    after = play(machine, (VOICE, 30), (QUIET, 50), bot=True, at=3.68)
    assert [type(e) for e in after][:2] == [Suspected, Confirmed]
    assert [type(e) for e in play(machine, *burst, bot=True, at=5.28)] == [Suspected, Withdrawn]


def test_noise_is_forgotten_after_a_while() -> None:
    machine = TurnMachine()
    play(machine, *[(VOICE, 6), (QUIET, 40)] * 4, bot=True)
    assert [type(e) for e in play(machine, (QUIET, 300), (VOICE, 6), bot=True, at=3.68)] == [Suspected]


def test_noise_keeps_nobody_from_a_turn_while_the_bot_listens() -> None:
    machine = TurnMachine()
    play(machine, *[(VOICE, 6), (QUIET, 40)] * 4, bot=True)
    events = play(machine, (VOICE, 20), at=3.68)
    assert any(isinstance(event, TurnStarted) and event.at == pytest.approx(3.68) for event in events)


def test_a_policy_that_wants_more_than_a_verdict_allows_lets_the_reply_go_on_meanwhile() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(voice=2.5)))
    events = play(machine, (VOICE, 130), bot=True)
    assert [(type(e), e.at) for e in events[:3]] == [(Suspected, 0.0), (Withdrawn, 1.5), (Suspected, 1.5)]
    assert isinstance(events[3], Confirmed)


@pytest.mark.parametrize("late", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("barge_in", [BargeIn(words=2), BargeIn(backchannel=("en",))])
def test_words_that_come_late_interrupt(barge_in: BargeIn, late: float) -> None:
    machine = TurnMachine(TurnSettings(barge_in=barge_in))
    machine.expect_words()
    assert [type(e) for e in play(machine, (VOICE, 25), (QUIET, round(late / 0.02)), bot=True)] == [Suspected]
    kinds = [type(e) for e in machine.understood("no, wait", True)]
    assert kinds[0] is Confirmed
    assert TurnStarted in kinds


def test_words_are_waited_for_within_the_time_of_a_verdict() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(words=2)))
    machine.expect_words()
    _, withdrawn = play(machine, (VOICE, 15), (QUIET, 100), bot=True)
    assert withdrawn == Withdrawn(0.3)
    assert not machine.in_speech
    events = [*play(machine, (VOICE, 40), bot=True, at=2.3)]
    for _ in range(50):
        events += machine.silence(0.02)
        if isinstance(events[-1], Withdrawn):
            break
    assert [type(e) for e in events] == [Suspected, Withdrawn]


def test_settled_words_that_allow_nothing_and_clicks_are_not_waited_for() -> None:
    machine = TurnMachine(TurnSettings(barge_in=BargeIn(backchannel=("en",))))
    machine.expect_words()
    play(machine, (VOICE, 15), bot=True)
    machine.understood("mhm", True)
    assert [type(e) for e in play(machine, (QUIET, 14), bot=True, at=0.3)] == [Withdrawn]
    assert [type(e) for e in play(machine, (VOICE, 3), (QUIET, 14), bot=True, at=3.0)] == [
        Suspected,
        Withdrawn,
    ]
