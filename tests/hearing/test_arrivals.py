"""Frames on call time: late ones wait until it is known whether something was lost before them."""

from __future__ import annotations

import numpy as np
import pytest

from fishjam_agents.audio.samples import Samples
from fishjam_agents.hearing.arrivals import Arrivals

FRAME = 0.02


def frame(number: int) -> Samples:
    return np.full(320, number, np.int16)


def placed(arrivals: Arrivals, number: int, now: float) -> list[tuple[int, float]]:
    return [(int(each[0]), pytest.approx(at, abs=1e-4)) for each, at in arrivals.take(frame(number), now)]


def begun(frames: int = 5) -> Arrivals:
    arrivals = Arrivals()
    for number in range(frames):
        assert placed(arrivals, number, 1.0 + number * FRAME) == [(number, 1.0 + number * FRAME)]
    return arrivals


def test_a_packet_that_was_lost_leaves_a_step() -> None:
    arrivals = begun()
    assert placed(arrivals, 6, 1.12) == []
    assert placed(arrivals, 7, 1.14) == [(6, 1.12), (7, 1.14)]
    assert placed(arrivals, 8, 1.16) == [(8, 1.16)]


def test_a_packet_that_was_late_leaves_none() -> None:
    arrivals = begun()
    assert placed(arrivals, 5, 1.125) == []
    assert placed(arrivals, 6, 1.126) == [(5, 1.10), (6, 1.12)]
    assert placed(arrivals, 7, 1.141) == [(7, 1.14)]


def test_a_stall_leaves_none_when_all_of_it_comes_at_once() -> None:
    arrivals = begun()
    for number in range(5, 9):
        assert placed(arrivals, number, 1.18) == []
    assert placed(arrivals, 9, 1.18) == [(number, 1.0 + number * FRAME) for number in range(5, 10)]


def test_frames_are_held_back_for_a_fifth_of_a_second_at_most() -> None:
    arrivals = begun()
    counts = [len(arrivals.take(frame(5 + number), 3.0)) for number in range(11)]
    assert counts == [*[0] * 10, 11]


def test_the_first_packet_may_have_been_the_late_one() -> None:
    arrivals = Arrivals()
    assert placed(arrivals, 0, 1.03) == [(0, 1.03)]
    assert placed(arrivals, 1, 1.02) == [(1, 1.05)]
    # One is lost, although its successor is only 10 ms later than what the first said.
    assert placed(arrivals, 3, 1.06) == []
    assert placed(arrivals, 4, 1.08) == [(3, 1.09), (4, 1.11)]


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_clock_that_is_off_loses_nothing_and_steps_rarely(ppm: int) -> None:
    arrivals = Arrivals()
    ends: list[float] = []
    for number in range(50 * 600):
        ends += [at for _, at in arrivals.take(frame(0), number * FRAME * (1 + ppm / 1e6))]
    assert len(ends) == 50 * 600
    steps = np.diff(ends) - FRAME
    assert np.count_nonzero(np.abs(steps) > 1e-6) <= 5
    assert abs(ends[-1] - 600 * (1 + ppm / 1e6)) < 0.06


def test_a_drift_is_taken_up_while_that_disturbs_nobody() -> None:
    arrivals = Arrivals()
    for number in range(3000):
        arrivals.take(frame(0), number * FRAME * (1 - 0.0002))
    arrivals.settle()
    now = 3000 * FRAME * (1 - 0.0002)
    assert placed(arrivals, 1, now) == [(1, now)]


def test_what_is_held_back_is_forgotten_with_the_rest() -> None:
    arrivals = begun()
    assert placed(arrivals, 5, 1.5) == []
    arrivals.reset()
    assert placed(arrivals, 6, 9.0) == [(6, 9.0)]


@pytest.mark.parametrize(("jitter", "most"), [(0.01, 0), (0.02, 5), (0.03, 15), (0.04, 30)])
def test_jitter_is_learned_and_taken_for_loss_no_more(jitter: float, most: int) -> None:
    rng = np.random.default_rng(1)
    arrivals, ends, now = Arrivals(), [], 0.0
    for number in range(50 * 60):
        now = max(now, number * FRAME + rng.uniform(0, jitter))
        ends += [at for _, at in arrivals.take(frame(number), now)]
    assert np.count_nonzero(np.abs(np.diff(ends) - FRAME) > 1e-3) <= most


def test_behind_jitter_a_loss_is_noticed_all_the_same() -> None:
    arrivals = begun()
    assert placed(arrivals, 5, 1.12) == []
    assert placed(arrivals, 6, 1.122) == [(5, 1.10), (6, 1.12)]
    assert placed(arrivals, 7, 1.14) == [(7, 1.14)]
    assert placed(arrivals, 9, 1.18) == [] == placed(arrivals, 10, 1.20)
    assert placed(arrivals, 11, 1.22) == [(9, 1.18), (10, 1.20), (11, 1.22)]


def test_what_is_held_back_is_given_out_when_nothing_more_comes() -> None:
    arrivals = begun()
    assert placed(arrivals, 6, 1.12) == []
    assert [at for _, at in arrivals.release()] == [pytest.approx(1.10, abs=1e-4)]
    assert arrivals.release() == []
    assert placed(arrivals, 40, 1.80) == []
    assert placed(arrivals, 41, 1.82) == [(40, 1.80), (41, 1.82)]
