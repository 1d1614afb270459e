"""The order of inputs on their way to a backend inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fishjam_agents.backends import port
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.testing import VirtualClock


class _Echo(port.Backend):
    """Keeps what it was told, and tells of every text."""

    def __init__(self) -> None:
        self.took: list[port.BackendInput] = []

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.InlineSession]:
        took = self.took

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
