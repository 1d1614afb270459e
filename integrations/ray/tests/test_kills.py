"""Effects on callers when parts of the service are killed or hang, on a Ray cluster of two nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import DEADLINE, FULL

BASIC = {"replica", "watcher", "ledger", "frozen watcher", "node"}
INTERRUPTED = {"replica", "watcher and replica", "node", "frozen node"}
"""Whose calls are lost with them; a number may follow."""


def kind(step: str) -> str:
    """The part that was killed in a step."""
    return step.rstrip(" 0123456789")


# One test for one cluster: it takes a minute to start.
@pytest.mark.timeout(DEADLINE + 20)
def test_no_room_has_two_bots_or_none_for_long_and_each_conversation_goes_on_once(
    scenario: Callable[..., dict[str, Any]],
) -> None:
    figures = scenario("kills.py")
    # Serve's names of replicas are no part of its interface: the watcher reads them.
    assert figures["names"] == {"living": 4, "of calls": 2}
    steps = {name: step for name, step in figures.items() if isinstance(step, dict) and "doubles" in step}
    assert steps.keys() >= BASIC
    for name, step in steps.items():
        # That all rooms have their bot again, and a new room gets one, is what the scenario waits for.
        assert (name, step["doubles"]) == (name, 0)
        assert (name, step["gone_on_once"]) == (name, step["interrupted"])
        assert (name, step["gone_on_again"], step["begun_anew"]) == (name, 0, 0)
        assert (name, step["interrupted"] > 0) == (name, kind(name) in INTERRUPTED)
        assert (name, step["looks"] > 20) == (name, True)
    if FULL:
        killed = {name: step for name, step in steps.items() if kind(name) in ("replica", "watcher")}
        assert len(killed) == 10
        slow = {name: step for name, step in killed.items() if max(step["back_after"], step["new_room"]) > 5}
        assert slow == {}
