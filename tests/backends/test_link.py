"""The order of inputs on their way to a backend inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement
from fishjam_agents.testing import VirtualClock


class _Echo(port.Backend):
    """Keeps what it was told, and tells of every text."""

    def __init__(self) -> None:
        self.took: list[port.BackendInput] = []
        self.told: list[str | None] = []

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.InlineSession]:
        took = self.took
        self.told.append(context.instructions)

        class Session(port.InlineSession):
            def handle(self, item: port.BackendInput) -> None:
                took.append(item)
                if isinstance(item, port.TextInput):
                    context.emit(port.VendorEvent(item.text, {}))

        yield Session()


def test_what_an_event_brings_about_does_not_overtake_what_waited_for_the_connection(
    virtual_clock: VirtualClock,
) -> None:
    async def scenario() -> list[port.BackendInput]:
        backend = _Echo()

        def emit(event: port.BackendEvent) -> None:
            link.put(port.InterruptInput(None))

        link = BackendLink(backend, "call", emit, lambda seconds: None)
        link.put(port.TextInput("one"))
        link.put(port.TextInput("two"))
        running = asyncio.create_task(link.run())
        await link.connected.wait()
        await asyncio.sleep(0)
        link.put(port.TextInput("three"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return backend.took

    stop = port.InterruptInput(None)
    texts = [port.TextInput(text) for text in ("one", "two", "three")]
    assert virtual_clock.run(scenario()) == [texts[0], texts[1], stop, stop, texts[2], stop]


def _instead(backend: port.Backend, instructions: str = "") -> Replacement:
    return Replacement(backend, instructions, (), PastConversation())


def test_a_turn_is_told_to_the_backend_that_takes_over_while_it_is_open_and_not_after(
    virtual_clock: VirtualClock,
) -> None:
    first, second, third = backends = [_Echo(), _Echo(), _Echo()]
    began, ended = port.TurnStartedInput("alice", 0.0), port.TurnCancelledInput("alice")

    async def scenario() -> None:
        link = BackendLink(first, "call", lambda event: None, lambda seconds: None)
        running = asyncio.create_task(link.run())
        await link.connected.wait()
        await asyncio.sleep(0)
        link.put(began)
        link.replace(_instead(second))
        await asyncio.sleep(0.1)
        link.put(ended)
        link.replace(_instead(third))
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_clock.run(scenario())
    assert [backend.took for backend in backends] == [[began], [began, ended], []]


def test_instructions_given_while_a_backend_is_about_to_take_over_are_its_own(
    virtual_clock: VirtualClock,
) -> None:
    first, second, third = _Echo(), _Echo(), _Echo()

    async def scenario() -> None:
        link = BackendLink(first, "call", lambda event: None, lambda seconds: None)
        link.replace(_instead(second, "of the second"))
        link.replace(_instead(third, "of the third"))
        link.put(port.UpdateInput("newer"))
        running = asyncio.create_task(link.run())
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_clock.run(scenario())
    assert (second.told, third.told, third.took) == (["of the second"], ["newer"], [])
