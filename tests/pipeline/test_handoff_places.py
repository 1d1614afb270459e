"""Places at vendors while a call changes hands: whoever has it has its places, nobody else any."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement
from fishjam_agents.backends.vendors import LimitReachedError, VendorEndpoint, VendorLimits, Vendors
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryRoom, Scripted, VirtualClock
from tests.cascade.components import Answers, Speaks, Understands

NAMES = ("a", "b", "c")
LIMITS = VendorLimits(calls=1)


@dataclass(frozen=True, eq=False)
class At(Scripted):
    """A model behind an account that has one place; it may be unreachable."""

    name: str | None = None
    limits = LIMITS
    error: BackendError | None = None
    takes: float = 0.0

    @property
    def endpoint(self) -> VendorEndpoint | None:
        return None if self.name is None else VendorEndpoint(self.name)

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        await asyncio.sleep(self.takes)
        if self.error is not None:
            raise self.error
        async with super().connect(context) as session:
            yield session


@dataclass(frozen=True, eq=False)
class Model(Answers):
    """A language model behind an account."""

    name: str = "a"
    limits = LIMITS

    @property
    def endpoint(self) -> VendorEndpoint:
        return VendorEndpoint(self.name)


def _cascade(*names: str) -> Cascade:
    return Cascade([Understands([["Hi."]])], [Model([["Hm."]], name=name) for name in names], [Speaks()])


def _used() -> dict[str, int]:
    return {name: Vendors.shared().account(VendorEndpoint(name), LIMITS).calls for name in NAMES}


def _holders(backend: port.Backend, others: Mapping[str, int]) -> list[str]:
    """The accounts at which a backend has a place: a cascade at the first that is not full."""
    if isinstance(backend, Cascade):
        return [part.name for part in backend.llm if isinstance(part, Model) and not others[part.name]][:1]
    return [backend.name] if isinstance(backend, At) and backend.name is not None else []


class _Call:
    """A call in a room in memory, and the places that were ever used."""

    def __init__(self, backend: port.Backend) -> None:
        self.bot = AgentPipeline()
        self.bot.backend = backend
        self.events: list[str] = []
        self.bot.observers.append(lambda event: self.events.append(event.kind))

    def become(self, backend: port.Backend) -> bool:
        other = AgentPipeline()
        other.backend = backend
        try:
            self.bot.become(other)
        except FishjamAgentsError:
            return False
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with MemoryRoom() as room:
            running = asyncio.create_task(self.bot.run(room.session, room=room))
            await asyncio.sleep(1.0)
            try:
                yield
            finally:
                self.bot.stop()
                with contextlib.suppress(BackendError):
                    await running


backends = st.one_of(
    st.builds(
        At,
        name=st.sampled_from([None, *NAMES]),
        error=st.sampled_from(
            [None, None, None, BackendError("refused", failure="auth"), BackendError("away", retryable=True)]
        ),
        takes=st.sampled_from([0.0, 0.0, 2.0, 20.0]),
        offers=st.just(port.Capabilities(tools=True, text=True)),
    ),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(lambda names: _cascade(*names)),
)


class _Line:
    """A link without a room around it: who cannot take over leaves the call to who had it last."""

    def __init__(self, backend: port.Backend) -> None:
        self.serving = self.wanted = backend
        self.link = BackendLink(backend, "call", lambda event: None, lambda seconds: None)

    def become(self, backend: port.Backend) -> None:
        with contextlib.suppress(LimitReachedError):
            self.link.verify_places(backend)
            self._replace(backend)

    def _replace(self, backend: port.Backend, *, back: bool = False) -> None:
        self.wanted = backend

        def opened() -> None:
            self.serving = backend

        def failed(error: BackendError) -> None:
            self._replace(self.serving, back=True)

        self.link.replace(Replacement(backend, "", (), PastConversation(), opened, None if back else failed))


@pytest.mark.timeout(300)
@given(
    steps=st.lists(st.tuples(backends, st.sampled_from([0.0, 0.5, 60.0])), max_size=6),
    busy=st.booleans(),
    last=st.sampled_from([0.0, 0.7, 200.0]),
)
@settings(max_examples=100, deadline=None)
def test_whoever_has_the_call_has_its_places_and_nobody_else_any(
    steps: Sequence[tuple[port.Backend, float]], busy: bool, last: float
) -> None:
    async def main() -> None:
        line = _Line(At())
        _used()
        if busy:
            # Another call has the place.
            Vendors.shared().account(VendorEndpoint("b"), LIMITS).take_place()
        others = {name: int(busy and name == "b") for name in NAMES}
        running = asyncio.create_task(line.link.run())
        await line.link.connected.wait()
        for backend, pause in steps:
            line.become(backend)
            await asyncio.sleep(pause)
            assert all(0 <= count <= 1 for count in _used().values())
        await asyncio.sleep(last)
        if last > 100 and not running.done():
            assert line.wanted is line.serving
            holds = _holders(line.serving, others)
            assert _used() == {name: others[name] + (name in holds) for name in NAMES}
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert _used() == others

    VirtualClock().run(main())


def test_an_account_of_a_part_that_is_full_keeps_the_call_where_it_is(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        _used()
        Vendors.shared().account(VendorEndpoint("b"), LIMITS).take_place()
        call = _Call(_cascade("a"))
        async with call.running():
            assert not call.become(_cascade("b"))
            # The one that it has is its own, and does not have to be free.
            assert call.become(_cascade("a"))
            assert call.become(_cascade("b", "c"))
            await asyncio.sleep(1.0)
            assert _used() == {"a": 0, "b": 1, "c": 1}

    virtual_clock.run(main())


def test_a_bot_may_take_over_from_a_thread(virtual_clock: VirtualClock) -> None:
    async def main() -> None:
        _used()
        call, done = _Call(_cascade("a")), []
        async with call.running():
            thread = threading.Thread(target=lambda: done.append(call.become(_cascade("b"))))
            thread.start()
            thread.join()
            await asyncio.sleep(1.0)
            assert done == [True]
            assert _used() == {"a": 0, "b": 1, "c": 0}

    virtual_clock.run(main())


@pytest.mark.parametrize("pause", [0.0, 1.0], ids=["before it begins to open", "while it opens"])
def test_a_call_that_ends_in_the_middle_of_a_handoff_leaves_no_place(
    virtual_clock: VirtualClock, pause: float
) -> None:
    async def main() -> None:
        call = _Call(At(name="a"))
        async with call.running():
            call.become(At(name="b", takes=10.0))
            await asyncio.sleep(pause)
        assert _used() == dict.fromkeys(NAMES, 0)

    virtual_clock.run(main())
