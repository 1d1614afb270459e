"""Fallbacks where a vendor fails for all calls, or has no place left; in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fishjam_agents.backends import port
from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.link import MAX_ATTEMPTS, BackendLink
from fishjam_agents.backends.vendors import VendorEndpoint, VendorLimits, Vendors
from fishjam_agents.backends.vendors.breaker import FAILURES
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock

LOST = BackendError("it is gone", retryable=True)


@dataclass
class Service:
    """The far side of a model.

    Attributes:
        up: Whether it takes connections.
        lasts: Seconds for which it keeps one, None for good.
        asked: When it was, loop time.
        open: Connections that are open.
        gone: Set when those are lost.
    """

    up: bool = True
    lasts: float | None = None
    asked: list[float] = field(default_factory=list)
    open: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def lose(self) -> None:
        self.up = False
        self.gone.set()

    def return_(self) -> None:
        self.up, self.gone = True, asyncio.Event()


class _Session(port.BackendSession):
    def __init__(self, service: Service) -> None:
        self._gone, self._lasts = service.gone, service.lasts

    async def send(self, item: port.BackendInput) -> None:
        pass

    async def read(self) -> None:
        try:
            async with asyncio.timeout(self._lasts):
                await self._gone.wait()
        except TimeoutError:
            pass
        raise LOST


@dataclass(frozen=True)
class Model(port.Backend):
    name: str
    service: Service
    limits: VendorLimits = VendorLimits()  # noqa: RUF009 - frozen

    @property
    def endpoint(self) -> VendorEndpoint:
        return VendorEndpoint(self.name)

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        self.service.asked.append(asyncio.get_running_loop().time())
        if not self.service.up:
            raise LOST
        self.service.open += 1
        try:
            yield _Session(self.service)
        finally:
            self.service.open -= 1


class Calls:
    """Links of as many calls."""

    def __init__(self, backend: port.Backend, count: int) -> None:
        self.events: list[port.BackendEvent] = []
        links = [BackendLink(backend, f"call-{n}", self.events.append, self._outage) for n in range(count)]
        self.tasks = [asyncio.create_task(link.run()) for link in links]
        self.links = links

    def _outage(self, seconds: float) -> None:
        pass

    async def connected(self) -> None:
        await asyncio.gather(*(link.connected.wait() for link in self.links))

    async def hang_up(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def end(self) -> None:
        await self.hang_up()
        assert not any(account.calls or account.waiting for account in Vendors.shared())


def most_in_a_second(times: list[float]) -> int:
    return max((sum(start <= at < start + 1 - 1e-6 for at in times) for start in times), default=0)


def test_calls_beyond_the_limit_of_the_first_have_the_second_at_once(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        first, second = Service(), Service()
        chain = Fallback([Model("first", first, VendorLimits(calls=2)), Model("second", second)], recovery=1)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        calls = Calls(chain, 5)
        await calls.connected()
        assert (first.open, second.open) == (2, 3)
        # A pause of the link's before it connects anew, and the turns of those who come at the same moment.
        assert loop.time() - begun < 1.0
        assert len(first.asked) == 2, "a full account is not asked"
        # Calls that look whether they can return keep the place that they have.
        await asyncio.sleep(20)
        places = {account.endpoint.vendor: account.calls for account in Vendors.shared()}
        assert places == {"first": 2, "second": 3}
        await calls.end()

    virtual_clock.run(scenario())


def test_a_call_that_ends_makes_room_at_the_first_again(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        first, second = Service(), Service()
        chain = Fallback([Model("first", first, VendorLimits(calls=1)), Model("second", second)], recovery=1)
        one = Calls(chain, 1)
        await one.connected()
        other = Calls(chain, 1)
        await other.connected()
        assert (first.open, second.open) == (1, 1)
        await one.hang_up()
        await asyncio.sleep(60)
        assert (first.open, second.open) == (1, 0)
        await other.end()

    virtual_clock.run(scenario())


def test_all_calls_have_the_second_when_the_first_is_lost_and_return_in_turns(
    virtual_clock: VirtualClock,
) -> None:
    async def scenario() -> None:
        first, second = Service(), Service()
        calls = Calls(Fallback([Model("first", first), Model("second", second)], recovery=5), 100)
        await calls.connected()
        first.asked.clear()
        first.lose()
        await asyncio.sleep(10)
        assert (first.open, second.open) == (0, 100)
        assert len(first.asked) <= FAILURES + MAX_ATTEMPTS + 10 / 0.25
        assert most_in_a_second(second.asked) <= VendorLimits().reconnects_per_second + 1
        first.return_()
        first.asked.clear()
        await asyncio.sleep(120)
        assert (first.open, second.open) == (100, 0)
        assert most_in_a_second(first.asked) <= VendorLimits().reconnects_per_second + 1
        assert all(not task.done() for task in calls.tasks)
        await calls.end()

    virtual_clock.run(scenario())


def test_a_vendor_that_flaps_is_no_storm(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        service = Service(lasts=1.0)
        calls = Calls(Model("flapping", service), 100)
        await calls.connected()
        service.asked.clear()
        await asyncio.wait(calls.tasks, timeout=600)
        assert most_in_a_second(service.asked) <= VendorLimits().reconnects_per_second + 1
        # Each call gives up after its own attempts, and none hangs.
        outcomes = Counter(type(task.exception()).__name__ for task in calls.tasks)
        assert outcomes.total() == 100
        assert set(outcomes) <= {"BackendError", "VendorUnavailableError"}
        assert len(service.asked) <= 100 * MAX_ATTEMPTS
        await calls.end()

    virtual_clock.run(scenario())
