"""Many calls lose one vendor at once, and come back without a storm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BACKOFF, MAX_ATTEMPTS, BackendLink
from fishjam_agents.backends.vendors import VendorLimits, Vendors
from fishjam_agents.backends.vendors.breaker import FAILURES, REST
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock

CALLS = 200
RATE = VendorLimits().reconnects_per_second


class _Vendor(port.Backend):
    """A service that all calls lose at once, and which is away for a while.

    Args:
        away: Seconds for which it refuses connections after a loss.
        retry_after: What it says then.
    """

    def __init__(self, away: float = 0.0, retry_after: float | None = None) -> None:
        self.connected: list[float] = []
        self.refused: list[float] = []
        self.gone = asyncio.Event()
        self.back_at = 0.0
        self._away, self._retry_after = away, retry_after

    def lose(self) -> float:
        """End all sessions; returns when, loop time."""
        now = asyncio.get_running_loop().time()
        self.back_at = now + self._away
        self.connected.clear()
        self.gone.set()
        return now

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        now = asyncio.get_running_loop().time()
        if now < self.back_at:
            self.refused.append(now)
            raise BackendError("it refuses", retryable=True, retry_after=self._retry_after)
        self.connected.append(now)
        gone, first = self.gone, not self.gone.is_set()

        class Session(port.BackendSession):
            async def send(self, item: port.BackendInput) -> None:
                pass

            async def read(self) -> None:
                if first:
                    await gone.wait()
                    raise BackendError("it is gone", retryable=True)
                await asyncio.Future()

        yield Session()


class Lost:
    """Outcome of calls that lost their vendor; times in seconds after the loss."""

    def __init__(self) -> None:
        self.connected: list[float] = []
        self.refused: list[float] = []
        self.outages: list[float] = []
        self.events: list[port.BackendEvent] = []


def lose(virtual_clock: VirtualClock, calls: int, away: float = 0.0, wish: float | None = None) -> Lost:
    async def scenario() -> Lost:
        vendor, found = _Vendor(away, wish), Lost()
        links = [
            BackendLink(vendor, f"call-{number}", found.events.append, found.outages.append)
            for number in range(calls)
        ]
        running = [asyncio.create_task(link.run()) for link in links]
        await asyncio.gather(*(link.connected.wait() for link in links))
        # Beginning calls do not wait for one another.
        assert vendor.connected[-1] == vendor.connected[0]
        lost = vendor.lose()
        while len(found.outages) < calls:
            await asyncio.sleep(0.05)
            for task in running:
                assert not task.done() or task.result()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        found.connected = sorted(at - lost for at in vendor.connected)
        found.refused = sorted(at - lost for at in vendor.refused)
        (account,) = Vendors.shared()
        assert account.is_idle, "places or permits were left behind"
        return found

    return virtual_clock.run(scenario())


def most_in(times: list[float], seconds: float) -> int:
    return max((sum(start <= at < start + seconds - 1e-6 for at in times) for start in times), default=0)


def test_two_hundred_calls_come_back_one_after_another(virtual_clock: VirtualClock) -> None:
    found = lose(virtual_clock, CALLS)
    assert len(found.connected) == len(found.outages) == CALLS
    assert most_in(found.connected, 0.25) <= RATE / 4 + 1
    # One tries first, then each has its turn; a turn that waited may be a fifth of a step late.
    assert max(found.outages) <= BACKOFF.first + REST.first + 1.2 * CALLS / RATE


def test_a_call_that_is_alone_does_not_wait(virtual_clock: VirtualClock) -> None:
    assert lose(virtual_clock, 1).connected[0] <= BACKOFF.first


@pytest.mark.parametrize(("calls", "away"), [(1, 3.0), (2, 3.0), (CALLS, 5.0), (CALLS, 20.0)])
def test_a_vendor_that_is_away_is_asked_by_one_at_a_time(
    virtual_clock: VirtualClock, calls: int, away: float
) -> None:
    found = lose(virtual_clock, calls, away)
    # Those that were on their way when it opened; after that one a rest, each longer than half of the first.
    assert len(found.refused) <= FAILURES + MAX_ATTEMPTS + away / (REST.longest / 2)
    assert len(found.outages) == calls
    assert most_in(found.connected, 1.0) <= RATE + 1


def test_retry_after_holds_all_calls_back(virtual_clock: VirtualClock) -> None:
    found = lose(virtual_clock, CALLS, away=10.0, wish=10.0)
    assert len(found.refused) == 1
    assert found.connected[0] >= 10.0
    assert most_in(found.connected, 1.0) <= RATE + 1


def test_calls_are_told_when_they_wait_and_when_no_more(virtual_clock: VirtualClock) -> None:
    found = lose(virtual_clock, 20, away=5.0)
    waits = [event for event in found.events if isinstance(event, port.VendorUnavailable)]
    ends = [event for event in found.events if isinstance(event, port.VendorAvailable)]
    assert len(waits) == len(ends) >= 19
    assert all("fails" in event.reason and "it " in event.reason for event in waits)
    assert all(event.seconds <= 10 for event in ends)
