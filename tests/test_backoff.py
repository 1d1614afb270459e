"""Waits between attempts."""

from __future__ import annotations

from fishjam_agents.fishjam import (
    Backoff,
)


def test_backoff_grows_to_its_bound_and_is_never_even() -> None:
    backoff = Backoff(first=1.0, longest=8.0)
    for failures, bound in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (10_000, 8.0)]:
        delays = {backoff.delay(failures) for _ in range(20)}
        assert all(bound / 2 <= delay <= bound for delay in delays)
        assert len(delays) > 1
