"""Times at which a vendor may be asked: the pace of requests, the circuit breaker, `Retry-After`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends.vendors.breaker import FAILURES, KEY_REST, LONGEST_WISH, WINDOW, CircuitBreaker
from fishjam_agents.backends.vendors.pacing import Pacer
from fishjam_agents.backends.vendors.retry_after import retry_after
from fishjam_agents.errors import BackendError

LOST = BackendError("it is gone", retryable=True)
REFUSED = BackendError("the key was refused", failure="auth")


def breaker_after(*errors: BackendError, at: float = 100.0) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for error in errors:
        breaker.failed(breaker.epoch, error, at)
    return breaker


# --- pace ---


@given(st.integers(1, 400), st.lists(st.floats(0, 30), min_size=1, max_size=150))
def test_no_minute_has_more_requests_than_the_limit(limit: int, pauses: list[float]) -> None:
    pacer, now, times = Pacer.per_minute(limit), 0.0, []
    for pause in pauses:
        asked = now + pause
        now = pacer.next(asked)
        pacer.take(now, waited=now > asked)
        times.append(now)
    for start in times:
        assert sum(start <= at < start + 60 - 1e-6 for at in times) <= limit


def test_the_limit_is_used_to_nine_tenths_and_more() -> None:
    pacer, now, count = Pacer.per_minute(300), 0.0, 0
    while (now := pacer.next(now)) < 600:
        pacer.take(now)
        count += 1
    assert count >= 0.9 * 3000


# --- breaker ---


def test_it_opens_after_failures_in_a_row_of_any_calls() -> None:
    breaker = breaker_after(*[LOST] * (FAILURES - 1))
    assert breaker.state == "closed"
    breaker.succeeded(breaker.epoch, 100.0)
    for _ in range(FAILURES):
        assert breaker.state == "closed"
        breaker.failed(breaker.epoch, LOST, 101.0)
    assert breaker.state == "open"
    assert breaker.reason == "it is gone"


def test_failures_that_lie_far_apart_do_not_open_it() -> None:
    breaker = CircuitBreaker()
    for number in range(50):
        breaker.failed(breaker.epoch, LOST, number * WINDOW / (FAILURES - 2))
    assert breaker.state == "closed"


@pytest.mark.parametrize("failure", ["config", "protocol", "internal"])
def test_what_one_call_did_wrong_counts_for_nothing(failure: str) -> None:
    wrong = BackendError("no such model", failure=failure)  # type: ignore[arg-type]
    assert breaker_after(*[wrong] * 20).state == "closed"
    assert breaker_after(*[BackendError("no credit", failure="quota")] * 20).state == "closed"


def test_one_tries_and_its_outcome_is_that_of_all() -> None:
    breaker = breaker_after(*[LOST] * FAILURES)
    late = breaker.epoch - 1
    due = breaker.next(100.0)
    assert due > 100.0
    trial = breaker.begin()
    assert breaker.state == "half_open"
    assert breaker.next(due) == float("inf")
    breaker.succeeded(late, due)
    breaker.failed(late, LOST, due)
    assert breaker.state == "half_open", "what was asked before it opened says nothing"
    breaker.succeeded(trial, due)
    assert breaker.state == "closed"
    assert breaker.reason is None
    assert breaker.opened == 1


def test_a_trial_that_is_given_up_is_followed_by_another_at_once() -> None:
    breaker = breaker_after(*[LOST] * FAILURES)
    due = breaker.next(100.0)
    breaker.abandoned(breaker.begin())
    assert breaker.next(due) == due


def test_a_vendor_that_flaps_is_left_alone_for_longer() -> None:
    breaker, now, rests = CircuitBreaker(), 0.0, []
    for _ in range(8):
        for _ in range(FAILURES):
            breaker.failed(breaker.epoch, LOST, now)
        due = breaker.next(now)
        rests.append(due - now)
        now = due
        breaker.succeeded(breaker.begin(), now)
        now += 1.0
    assert min(rests[4:]) >= 1.0 > rests[0]


def test_retry_after_opens_it_at_once_and_is_bounded() -> None:
    busy = BackendError("too many", retryable=True, failure="quota", retry_after=10.0)
    assert breaker_after(busy).next(100.0) == 110.0
    endless = BackendError("too many", retryable=True, failure="quota", retry_after=1e9)
    assert breaker_after(endless).next(100.0) == 100.0 + LONGEST_WISH


def test_a_refused_key_opens_it_when_two_were_refused_in_a_row() -> None:
    assert breaker_after(REFUSED).state == "closed"
    breaker = breaker_after(REFUSED, REFUSED)
    assert breaker.key_refused
    assert breaker.next(100.0) == 100.0 + KEY_REST


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "10"}, 10.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "9" * 400}, None),
        (
            {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": "Fri, 31 Dec 1999 23:59:29 GMT"},
            30.0,
        ),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "Fri, 99 Dec 1999 23:59:59 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
