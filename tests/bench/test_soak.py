"""A soak finds what it looks for: its marks survive, and its verdict sees what is lost or doubled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.soak.judge import judge, slope
from bench.soak.marks import Mark, marked, marks, voiced

NOISE = np.random.default_rng(1).integers(-3000, 3000, 16000).astype(np.int16)


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 640), st.sampled_from([16000, 24000]))
def test_marks_are_found_wherever_the_sound_is_cut(call: int, utterance: int, cut: int, rate: int) -> None:
    sound = marked(NOISE, call, utterance, rate)
    found = list(marks(sound[cut:]))
    first = -(-cut // (rate // 50))
    assert found == [Mark(call, utterance, frame) for frame in range(first, len(NOISE) // (rate // 50))]
    assert np.abs(sound.astype(int) - NOISE).max() <= 1


def test_there_are_no_marks_where_none_were_made() -> None:
    assert not list(marks(np.zeros(16000, np.int16)))
    assert not list(marks(np.random.default_rng(2).integers(-32768, 32767, 160_000).astype(np.int16)))


def test_speech_is_where_it_is_loud() -> None:
    clip = np.concatenate((np.zeros(3200, np.int16), NOISE, np.zeros(1600, np.int16)))
    assert voiced(clip) == (10, 60)


SAID = {"t": 10.0, "kind": "said", "call": 1, "utterance": 7, "first": 10, "last": 60, "seconds": 1.4}
HERE = {"t": 1.0, "kind": "bots", "call": 1, "number": 1}


def arrived(frames: range, t: float = 12.0) -> dict[str, Any]:
    return {"t": t, "kind": "arrived", "call": 1, "utterance": 7, "frames": list(frames)}


def heard(frames: range, t: float = 13.0) -> dict[str, Any]:
    return {"t": t, "kind": "heard", "call": 1, "utterance": 7, "frames": list(frames)}


WHOLE, ANSWER = arrived(range(5, 65)), heard(range(40))


@pytest.mark.parametrize(
    ("notes", "wrong"),
    [
        ([WHOLE, ANSWER], None),
        ([arrived(range(5, 30)), arrived(range(30, 65)), ANSWER], None),
        ([], "lacks 44 of 44 frames"),
        ([arrived(range(5, 40)), ANSWER], "lacks 17 of 44 frames"),
        ([arrived(range(5, 40)), arrived(range(41, 65)), ANSWER], "lacks 1 of 44 frames"),
        ([WHOLE, arrived(range(50, 65)), ANSWER], "arrived 15 frames twice"),
        ([WHOLE], "was not answered"),
        ([WHOLE, ANSWER, heard(range(20), 14.0)], None),
        ([WHOLE, ANSWER, ANSWER], "was answered twice"),
    ],
)
def test_the_verdict_sees(notes: list[dict[str, Any]], wrong: str | None) -> None:
    verdict = judge([HERE, SAID, *notes])
    assert [wrong in detail for detail in verdict.details] == ([] if wrong is None else [True])
    assert verdict.said == 1


@pytest.mark.parametrize(
    "fault",
    [
        [{"t": 9.0, "kind": "fault", "name": "cut", "call": 1, "seconds": 1.0}],
        [{"t": 11.0, "kind": "fault", "name": "cut", "call": None, "seconds": 1.0}],
        [{"t": 11.0, "kind": "bots", "call": 1, "number": 0}],
    ],
)
def test_what_was_said_into_a_fault_may_be_lost(fault: list[dict[str, Any]]) -> None:
    verdict = judge([HERE, SAID, *fault])
    assert (verdict.excused, verdict.lost, verdict.is_good) == (1, 0, True)
    # It may not come twice.
    assert judge([HERE, SAID, *fault, WHOLE, WHOLE]).doubled == 1


def test_a_fault_of_another_call_or_time_excuses_nothing() -> None:
    for fault in (
        {"t": 10.0, "kind": "fault", "name": "cut", "call": 2, "seconds": 1.0},
        {"t": 3.0, "kind": "fault", "name": "cut", "call": 1, "seconds": 1.0},
    ):
        assert judge([HERE, SAID, fault]).lost == 1


def test_a_slope_has_its_confidence() -> None:
    chance = np.random.default_rng(3)
    line = [(t, 1000 + 2 * t / 60 + chance.normal()) for t in range(600)]
    found = slope([(float(t), float(value)) for t, value in line])
    assert found.per_minute == pytest.approx(2, abs=3 * found.error / 1.96)
    assert found.error < 0.1
    assert found.minutes == pytest.approx(10, abs=0.1)
