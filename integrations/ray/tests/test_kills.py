"""What callers notice when parts of the service are killed or hang, on a Ray cluster of two nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kills(scenario: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return scenario("kills.py")


def test_serve_names_replicas_as_we_read_them(kills: dict[str, Any]) -> None:
    """The form of the names is no part of Serve's interface."""
    assert kills["names"] == {"living": 4, "of calls": 2}


STEPS = ("replica", "watcher", "ledger", "frozen watcher", "node")


@pytest.mark.parametrize("step", STEPS)
def test_no_room_ever_has_two_bots_and_none_is_left_without(kills: dict[str, Any], step: str) -> None:
    # That all rooms have one again is what the scenario waits for.
    assert kills[step]["doubles"] == 0
    assert kills[step]["looks"] > 20


@pytest.mark.parametrize("step", ["replica", "node"])
def test_the_calls_of_a_dead_replica_go_on_elsewhere_once(kills: dict[str, Any], step: str) -> None:
    figures = kills[step]
    assert figures["interrupted"] > 0
    assert figures["gone_on_once"] == figures["interrupted"]
    assert figures["gone_on_again"] == figures["begun_anew"] == 0


@pytest.mark.parametrize("step", ["watcher", "ledger", "frozen watcher"])
def test_calls_go_on_while_the_watcher_or_the_ledger_is_away(kills: dict[str, Any], step: str) -> None:
    assert kills[step]["interrupted"] == kills[step]["gone_on_once"] == kills[step]["begun_anew"] == 0
