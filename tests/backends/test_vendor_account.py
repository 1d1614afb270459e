"""One account at a vendor: its places, its queue, and who waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

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
from fishjam_agents.backends.vendors.breaker import FAILURES
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.backends.vendors.fair_queue import FairQueue
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.testing import VirtualClock

LOST = BackendError("it is gone", retryable=True)
REFUSED = BackendError("the key was refused", failure="auth")
ENDPOINT = VendorEndpoint("Gemini", "https://example.com", "abcdef")


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
