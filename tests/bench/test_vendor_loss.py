"""Calls that lose their vendor: the bench, with few of them. Real sockets, the vendors' own clients."""

from __future__ import annotations

import pytest

from bench.vendor_loss import KINDS, CountingLoop, killed, refused, run_one
from fishjam_agents.backends.link import MAX_ATTEMPTS
from fishjam_agents.backends.vendors.breaker import FAILURES, REST

CALLS = 12


@pytest.mark.parametrize("kind", KINDS)
def test_calls_whose_vendor_is_killed_come_back_and_are_heard_once(kind: str) -> None:
    outcome = run_one(killed, kind, CALLS, 2.0, CountingLoop())
    assert outcome.gave_up == 0
    assert outcome.once == CALLS
    attempts, away = outcome.away
    # A client tries each address of a name; those that were on their way when it opened count, too.
    assert attempts <= FAILURES + MAX_ATTEMPTS + away / (REST.first / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_retry_after_holds_all_calls_back_and_nothing_is_lost(kind: str) -> None:
    outcome = run_one(refused, kind, CALLS, 4.0, CountingLoop())
    assert outcome.gave_up == 0
    assert outcome.once == CALLS
    # Those that were on their way when the first was refused are attempts, too: on a busy machine some are.
    assert outcome.away[0] < CALLS
