"""When a simulated call ends."""

from __future__ import annotations

import pytest

from fishjam_agents.simulation.scene import EndRule


def end(rule: EndRule, *speaks: tuple[float, float]) -> float:
    """When a call ends in which somebody speaks from - to."""
    tick = 0
    while True:
        tick += 1
        at = tick / 50
        if rule.over(at, any(begin < at <= finish for begin, finish in speaks)):
            return at


@pytest.mark.parametrize(
    ("callers_end", "speaks", "ends"),
    [
        (2.0, [], 5.0),
        (2.0, [(2.5, 4.0)], 7.0),
        (2.0, [(0.5, 1.0)], 5.0),
        (2.0, [(1.5, 3.0), (5.9, 6.0)], 9.0),
        (2.0, [(1.5, 3.0), (6.1, 6.5)], 6.0),
        (10.0, [(1.0, 2.0)], 13.0),
    ],
)
def test_a_call_ends_three_quiet_seconds_after_the_last_word(
    callers_end: float, speaks: list[tuple[float, float]], ends: float
) -> None:
    assert end(EndRule(), (0.0, callers_end), *speaks) == ends


def test_a_given_length_is_kept_whoever_speaks() -> None:
    assert end(EndRule(8.0)) == 8.0
    assert end(EndRule(8.0), (0.0, 30.0)) == 8.0


def test_no_call_is_longer_than_ten_minutes() -> None:
    assert end(EndRule(), (0.0, 10000.0)) == 600.0
    assert end(EndRule(9999.0)) == 600.0
