"""One account at a vendor: its limits, its queue, its circuit breaker."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends.vendors import (
    CallVendors,
    LimitReachedError,
    VendorAccount,
    VendorEndpoint,
    VendorLimits,
    Vendors,
    VendorUnavailableError,
    VendorUse,
    telling,
)
from fishjam_agents.backends.vendors.breaker import FAILURES, KEY_REST, LONGEST_WISH, WINDOW, CircuitBreaker
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.backends.vendors.fair_queue import FairQueue
from fishjam_agents.backends.vendors.pacing import Pacer
from fishjam_agents.backends.vendors.retry_after import retry_after
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.testing import VirtualClock

LOST = BackendError("it is gone", retryable=True)
REFUSED = BackendError("the key was refused", failure="auth")
ENDPOINT = VendorEndpoint("Gemini", "https://example.com", "abcdef")


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


# --- places ---


def test_a_call_beyond_the_limit_is_refused_in_one_sentence(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits(calls=2))
        uses = [VendorUse(), VendorUse()]
        for use in uses:
            use.hold(account)
            use.hold(account)
        assert account.calls == 2
        with pytest.raises(LimitReachedError) as refused:
            VendorUse().hold(account)
        assert str(refused.value) == (
            "2 calls use Gemini (example.com, key abcdef), and its limits.calls is 2: wait, or raise it"
        )
        uses[0].close()
        uses[0].close()
        VendorUse().hold(account)
        assert account.calls == 2

    virtual_clock.run(scenario())


def test_a_place_that_was_reserved_goes_to_the_session(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits(calls=1))
        call = CallVendors()
        call.reserve(account)
        first, second = VendorUse(call), VendorUse(call)
        first.hold(account)
        with pytest.raises(LimitReachedError):
            second.hold(account)
        call.close()
        assert account.calls == 1
        first.close()
        assert account.calls == 0
        call.reserve(account)
        call.close()
        assert account.calls == 0

    virtual_clock.run(scenario())


def test_two_keys_are_two_accounts_and_new_limits_count_at_once(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        vendors = Vendors.shared()
        one = vendors.account(VendorEndpoint("Gemini", "", fingerprint("key-1")), VendorLimits(calls=1))
        two = vendors.account(VendorEndpoint("Gemini", "", fingerprint("key-2")), VendorLimits(calls=1))
        assert one is not two
        one.take_place()
        two.take_place()
        assert vendors.account(one.endpoint, VendorLimits(calls=2)) is one
        one.take_place()
        assert one.full
        assert vendors.account(one.endpoint).limits.calls == 2, "who says nothing changes nothing"

    virtual_clock.run(scenario())


def test_accounts_that_nobody_uses_are_forgotten(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        vendors = Vendors.shared()
        used = vendors.account(VendorEndpoint("Gemini", "", "used"))
        used.take_place()
        for number in range(2000):
            vendors.account(VendorEndpoint("Gemini", "", str(number)))
        assert len(list(vendors)) <= 257
        assert vendors.account(used.endpoint) is used

    virtual_clock.run(scenario())


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"requests_per_minute": 0}, {"reconnects_per_second": 0.0}])
def test_limits_that_let_nobody_through_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        VendorLimits(**wrong)  # type: ignore[arg-type]


# --- waiting ---


def test_owners_have_turns() -> None:
    queue = FairQueue[str]()
    for entry in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(entry[0], entry)
    queue.remove("a", "a2")
    queue.remove("d", "d1")
    assert [queue.pop() for _ in range(len(queue))] == ["a1", "b1", "c1", "a3", "c2"]


def test_requests_beyond_the_limit_wait_for_their_turn(virtual_clock: VirtualClock) -> None:
    async def scenario() -> list[float]:
        account = VendorAccount(ENDPOINT, VendorLimits(requests_per_minute=60))
        loop = asyncio.get_running_loop()
        times = []

        async def ask(owner: int) -> None:
            (await account.admit(owner, patience=100)).succeeded()
            times.append(loop.time())

        begun = loop.time()
        await asyncio.gather(*(ask(number) for number in range(70)))
        assert account.waiting == 0
        return [at - begun for at in times]

    times = virtual_clock.run(scenario())
    assert sum(at == 0 for at in times) == 6
    assert sum(at < 60 for at in times) <= 60
    assert times == sorted(times)


def test_who_does_not_wait_goes_elsewhere_at_once(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits(requests_per_minute=1))
        (await account.admit("a", patience=0)).succeeded()
        with pytest.raises(LimitReachedError, match="requests_per_minute is 1: wait"):
            await account.admit("b", patience=0)
        account = VendorAccount(ENDPOINT, VendorLimits())
        for _ in range(FAILURES):
            account.lost(LOST)
        with pytest.raises(VendorUnavailableError, match="fails") as refused:
            await account.admit("b", patience=0)
        assert refused.value.retryable
        for _ in range(FAILURES):
            account.lost(LOST)

    virtual_clock.run(scenario())


def test_a_wait_that_cannot_end_in_time_is_none(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits())
        loop = asyncio.get_running_loop()
        account.lost(BackendError("busy", retryable=True, retry_after=60.0))
        begun = loop.time()
        with pytest.raises(VendorUnavailableError, match=r"asked again in 60 s \(busy\)"):
            await account.admit("a", patience=30)
        assert loop.time() == begun

    virtual_clock.run(scenario())


def test_those_who_wait_are_told_when_it_is_in_vain(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits())
        loop = asyncio.get_running_loop()
        for _ in range(FAILURES):
            account.lost(LOST)
        waiting = [loop.create_task(account.admit(number, patience=30)) for number in range(10)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        (trial,) = done
        (await trial).failed(REFUSED)
        begun = loop.time()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert loop.time() == begun
        refused = [outcome for outcome in outcomes if isinstance(outcome, VendorUnavailableError)]
        assert len(refused) == 9
        assert all(error.failure == "auth" and not error.retryable for error in refused)
        assert account.waiting == 0

    virtual_clock.run(scenario())


def test_who_gives_up_while_waiting_leaves_nothing_behind(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits(requests_per_minute=60, calls=40))
        loop = asyncio.get_running_loop()
        outcomes = Counter[str]()

        async def call(number: int) -> None:
            use = VendorUse()
            try:
                use.hold(account)
                permit = await use.admit(account, lambda event: None, patience=2.0)
                with telling(permit):
                    await asyncio.sleep(0.01 * (number % 7))
                    if number % 3 == 0:
                        raise LOST
                    permit.succeeded()
                outcomes["asked"] += 1
            except BackendError as error:
                outcomes[type(error).__name__] += 1
            finally:
                use.close()

        for round in range(20):
            tasks = [loop.create_task(call(number)) for number in range(40)]
            await asyncio.sleep(0.05 * round)
            for task in tasks[:: round % 3 + 1]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert account.calls == account.waiting == 0
            assert account.breaker.state != "half_open", "a trial was left behind"
        assert set(outcomes) >= {"asked", "BackendError"}
        # Everything that was left comes back to rest.
        await asyncio.sleep(120)
        (await account.admit("last", patience=0)).succeeded()
        await asyncio.sleep(120)
        assert account.is_idle
        assert account._timer is None

    virtual_clock.run(scenario())


def test_who_is_let_through_in_the_moment_of_giving_up_is_no_trial(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        account = VendorAccount(ENDPOINT, VendorLimits())
        loop = asyncio.get_running_loop()
        for _ in range(FAILURES):
            account.lost(LOST)
        due = account.breaker.next(loop.time())
        task = loop.create_task(account.admit("a", patience=30))
        await asyncio.sleep(0)
        # The timer of the account runs first, then this: its future is done when the task is cancelled.
        loop.call_at(due, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()
        assert account.breaker.state == "open"
        (await account.admit("b", patience=1)).succeeded()
        assert account.breaker.state == "closed"

    virtual_clock.run(scenario())


def test_limits_that_change_do_not_forget_the_requests_before(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        strict, lax = VendorLimits(calls=1, requests_per_minute=60), VendorLimits(requests_per_minute=120)
        vendors = Vendors.shared()
        begun, granted = loop.time(), 0
        while loop.time() < begun + 60:
            # Two bots with different limits of one account, and what a worker asks at each look.
            for limits in (VendorLimits(calls=5), lax, strict):
                account = vendors.account(ENDPOINT, limits)
            with suppress(BackendError):
                (await account.admit("call", patience=0)).succeeded()
                granted += 1
            await asyncio.sleep(0.1)
        assert granted <= 60
        # One that is raised counts at once.
        vendors.account(ENDPOINT, VendorLimits(requests_per_minute=60_000))
        await asyncio.sleep(0.1)
        assert account.is_ready()

    virtual_clock.run(scenario())


def test_a_session_that_frees_the_only_place_tells_so_and_a_reservation_does_not(
    virtual_clock: VirtualClock,
) -> None:
    async def scenario() -> None:
        freed: list[None] = []
        vendors = Vendors.shared()
        vendors.freed.append(lambda: freed.append(None))
        account = vendors.account(ENDPOINT, VendorLimits(calls=2))
        call = CallVendors()
        call.reserve(account)
        # Another part of the same session, as of a cascade.
        call.reserve(account)
        assert account.calls == 1
        use = VendorUse(call)
        use.hold(account)
        call.close()
        assert account.calls == 1
        assert not freed
        other = VendorUse()
        other.hold(account)
        use.close()
        assert len(freed) == 1
        other.close()
        assert len(freed) == 1
        assert account.calls == 0

    virtual_clock.run(scenario())


def test_a_request_that_is_made_twice_counts_twice(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        account = VendorAccount(ENDPOINT, VendorLimits(requests_per_minute=60))
        use = VendorUse()
        use.hold(account)
        begun, requests = loop.time(), 0
        while loop.time() < begun + 60:
            with suppress(BackendError):
                (await use.admit(account, lambda event: None, patience=0)).succeeded()
                use.asked_again(ENDPOINT)
                use.asked_again(VendorEndpoint("another"))
                requests += 2
            await asyncio.sleep(0.05)
        assert 40 < requests <= 61
        use.close()

    virtual_clock.run(scenario())
