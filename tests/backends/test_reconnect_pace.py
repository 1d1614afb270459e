"""Many calls lose one vendor at once, and come back without a storm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BACKOFF, BackendLink
from fishjam_agents.backends.reconnect_pace import RATE
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock

CALLS = 200


class _Vendor(port.Backend):
    """A service that all calls lose at once."""

    def __init__(self) -> None:
        self.connected: list[float] = []
        self.gone = asyncio.Event()

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        self.connected.append(asyncio.get_running_loop().time())
        gone, first = self.gone, context.attempt == 0

        class Session(port.BackendSession):
            async def send(self, item: port.BackendInput) -> None:
                pass

            async def read(self) -> None:
                if first:
                    await gone.wait()
                    raise BackendError("it is gone", retryable=True)
                await asyncio.Future()

        yield Session()


def lose(virtual_clock: VirtualClock, calls: int) -> tuple[list[float], list[float]]:
    """Times of the connections after a loss at 0, and how long each call was without."""

    async def scenario() -> tuple[list[float], list[float]]:
        vendor, outages = _Vendor(), list[float]()
        links = [
            BackendLink(vendor, f"call-{number}", lambda event: None, outages.append)
            for number in range(calls)
        ]
        running = [asyncio.create_task(link.run()) for link in links]
        await asyncio.gather(*(link.connected.wait() for link in links))
        lost = asyncio.get_running_loop().time()
        # Beginning calls do not wait for one another.
        assert vendor.connected[-1] == vendor.connected[0]
        vendor.connected.clear()
        vendor.gone.set()
        while len(outages) < calls:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.05)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return sorted(at - lost for at in vendor.connected), outages

    return virtual_clock.run(scenario())


def test_two_hundred_calls_come_back_one_after_another(virtual_clock: VirtualClock) -> None:
    times, outages = lose(virtual_clock, CALLS)
    assert len(times) == len(outages) == CALLS
    busiest = max(sum(start <= at < start + 0.25 - 1e-6 for at in times) for start in times)
    assert busiest <= RATE / 4 + 1
    assert max(outages) <= BACKOFF.first + CALLS / RATE


def test_a_call_that_is_alone_does_not_wait(virtual_clock: VirtualClock) -> None:
    times, _ = lose(virtual_clock, 1)
    assert times[0] <= BACKOFF.first
