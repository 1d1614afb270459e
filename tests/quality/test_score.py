"""What counts as caught, as made up, as cut."""

from __future__ import annotations

import numpy as np
import pytest

from quality.microphone import RATE, Span
from quality.score import Tally, turn_outcome
from quality.stream import Label, Stream

SPEECH = Label("speech", 10.0, 12.0)
COUGH = Label("cough", 20.0, 20.3)
STREAM = Stream(np.zeros(60 * RATE, np.int16), (SPEECH, COUGH))


def tally(*spans: Span) -> Tally:
    counted = Tally()
    counted.add(STREAM, spans)
    return counted


def test_an_onset_counts_from_the_first_labelled_sample() -> None:
    counted = tally(Span(10.02, 10.08, 10.36, 12.6))
    assert (counted.utterances, counted.caught, counted.confirmed) == (1, 1, 1)
    assert counted.onsets == [pytest.approx(0.08)]
    assert counted.confirmations == [pytest.approx(0.36)]
    assert (counted.false_starts, counted.false_turns) == (0, 0)


def test_ears_that_were_on_before_have_no_onset() -> None:
    counted = tally(Span(9.5, 9.6, 10.4, 12.6))
    assert (counted.caught, counted.already_on, counted.onsets) == (1, 1, [])
    assert counted.false_starts == 1
    assert counted.false_turns == 0, "the speech confirmed it"


def test_a_span_that_was_over_before_catches_nothing() -> None:
    counted = tally(Span(9.0, 9.1, None, 9.8))
    assert (counted.caught, counted.false_starts, counted.false_turns) == (0, 1, 0)


def test_what_is_made_up_is_counted_per_minute_in_which_nothing_was() -> None:
    counted = tally(Span(30.0, 30.1, None, 30.5), Span(40.0, 40.1, 40.5, 41.0))
    assert counted.quiet == pytest.approx(60 - 2 - 0.3 - 2 * 0.15)
    assert counted.false_starts_a_minute == pytest.approx(2 * 60 / 57.4)
    assert counted.false_turns_a_minute == pytest.approx(60 / 57.4)


def test_a_burst_is_neither_speech_nor_made_up() -> None:
    suspected = tally(Span(20.0, 20.06, None, 20.6))
    confirmed = tally(Span(20.0, 20.06, 20.34, 21.0))
    assert [t.bursts_suspected for t in (tally(), suspected, confirmed)] == [0, 1, 1]
    assert [t.bursts_confirmed for t in (tally(), suspected, confirmed)] == [0, 0, 1]
    assert suspected.false_starts == confirmed.false_starts == confirmed.false_turns == 0


def test_speech_that_lasts_into_a_burst_is_not_the_bursts_doing() -> None:
    counted = tally(Span(10.0, 10.1, 10.4, 20.1))
    assert (counted.bursts, counted.bursts_suspected, counted.bursts_confirmed) == (1, 0, 0)


def test_tallies_add_up() -> None:
    one, other = tally(Span(10.0, 10.1, 10.4, 12.6)), tally(Span(30.0, 30.1, None, 30.5))
    one.merge(other)
    assert (one.utterances, one.caught, one.false_starts, one.bursts) == (2, 1, 1, 2)
    assert len(one.onsets) == 1


TURN = Label("speech", 10.0, 13.0, (11.0, 11.4))


@pytest.mark.parametrize(
    ("spans", "taken", "cut", "delay"),
    [
        ([Span(10.0, 10.1, 10.3, 13.6)], True, False, 0.6),
        ([Span(10.0, 10.1, 10.3, 11.3), Span(11.4, 11.5, 11.7, 13.6)], True, True, None),
        ([Span(10.0, 10.1, None, 11.3), Span(11.4, 11.5, 11.7, 13.6)], True, True, None),
        ([Span(11.4, 11.5, 11.7, 13.6)], True, False, 0.6),
        ([Span(10.0, 10.1, None, 10.5)], False, False, None),
        ([], False, False, None),
        ([Span(10.0, 10.1, 10.3, None)], True, False, None),
    ],
    ids=["whole", "cut", "half thrown away", "half unheard", "thrown away", "unheard", "never over"],
)
def test_a_turn_is_whole_cut_or_lost(spans: list[Span], taken: bool, cut: bool, delay: float | None) -> None:
    outcome = turn_outcome(TURN, spans)
    assert (outcome.taken, outcome.cut) == (taken, cut)
    assert outcome.end_delay == (None if delay is None else pytest.approx(delay))
