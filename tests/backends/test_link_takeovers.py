"""A session that ends badly as it is left for another one: how it ended is no failure of that one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock
from tests.backends.test_link import _Echo

BADLY = [BackendError("no goodbye", retryable=True), BackendError("no goodbye"), OSError("no goodbye")]


class _ClosesBadly(_Echo):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.InlineSession]:
        async with super().connect(context) as session:
            yield session
        raise self.error


class _EndsWithAText(port.Backend):
    """Ends as it takes a text, which is when it is replaced."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @asynccontextmanager
    async def connect(self, context: port.BackendContext) -> AsyncIterator[port.BackendSession]:
        error, done = self.error, asyncio.Event()

        class Session(port.BackendSession):
            async def send(self, item: port.BackendInput) -> None:
                done.set()

            async def read(self) -> None:
                await done.wait()
                raise error

        yield Session()


def replaced_after_a_minute(
    virtual_clock: VirtualClock, first: port.Backend
) -> tuple[list[BackendError], list[str], list[port.BackendInput]]:
    """Return what became of the takeover, and what the second backend took."""
    second, failed, happened = _Echo(), list[BackendError](), list[str]()

    async def scenario() -> None:
        link = BackendLink(
            first, "call", lambda event: None, lambda lost: None, replaced=lambda: happened.append("replaced")
        )
        running = asyncio.create_task(link.run())
        await link.connected.wait()
        await asyncio.sleep(60)
        link.put(port.TextInput("one"))
        opened = Replacement(
            *(second, "", (), PastConversation()),
            opened=lambda: happened.append("opened"),
            failed=failed.append,
        )
        link.replace(opened)
        link.put(port.TextInput("two"))
        await asyncio.sleep(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_clock.run(scenario())
    return failed, happened, second.took


@pytest.mark.parametrize("error", BADLY, ids=["retryable", "final", "bug"])
def test_a_session_that_does_not_close_fails_no_other(virtual_clock: VirtualClock, error: Exception) -> None:
    failed, happened, took = replaced_after_a_minute(virtual_clock, _ClosesBadly(error))
    assert (failed, happened) == ([], ["replaced", "opened"])
    assert took == [port.TextInput("two")]


@pytest.mark.parametrize("error", [BADLY[0], port.SessionRefresh("renew me")], ids=["lost", "refresh"])
def test_a_session_that_ends_as_it_is_replaced_is_no_failure(
    virtual_clock: VirtualClock, error: Exception
) -> None:
    failed, happened, _ = replaced_after_a_minute(virtual_clock, _EndsWithAText(error))
    assert (failed, happened) == ([], ["replaced", "opened"])
