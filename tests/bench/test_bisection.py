"""The search of the highest number of calls."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bisection import Verdict, highest, repeated

PASSED, FAILED, DISTURBED = Verdict.PASSED, Verdict.FAILED, Verdict.DISTURBED


@given(st.integers(0, 1200), st.integers(1, 50))
def test_it_finds_the_highest_number_that_passes_and_asks_for_none_twice(limit: int, grain: int) -> None:
    asked: list[int] = []

    async def passes(calls: int) -> bool:
        asked.append(calls)
        return calls <= limit

    most = 20 * grain
    found = asyncio.run(highest(passes, 4 * grain, most, grain))

    assert found == min(limit // grain * grain, most)
    assert len(set(asked)) == len(asked) <= 8
    assert all(0 < calls <= most and calls % grain == 0 for calls in asked)


@pytest.mark.parametrize(
    ("verdicts", "expected", "trials"),
    [
        ([PASSED, PASSED], True, 2),
        ([FAILED, FAILED], False, 2),
        ([FAILED, PASSED, PASSED], True, 3),
        ([DISTURBED, PASSED, DISTURBED, PASSED], True, 4),
        ([DISTURBED] * 5, False, 5),
    ],
)
def test_two_verdicts_that_agree_decide_and_disturbed_ones_do_not_count(
    verdicts: list[Verdict], expected: bool, trials: int
) -> None:
    given_out = iter(verdicts)
    count = itertools.count(1)
    made = [0]

    async def trial() -> Verdict:
        made[0] = next(count)
        return next(given_out)

    assert asyncio.run(repeated(trial)) is expected
    assert made[0] == trials
