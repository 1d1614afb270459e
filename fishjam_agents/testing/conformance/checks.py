"""Common base of all groups of checks: which apply, the far side, and time to run in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.port import Capabilities
from fishjam_agents.testing.clock import VirtualClock
from fishjam_agents.testing.conformance.fake_service import FakeService
from fishjam_agents.testing.conformance.harness import Harness

LONGEST = 30.0
"""Seconds after which a test on real sockets is given up."""


def run_bounded(
    scenario: Callable[[], Coroutine[Any, Any, None]], *, in_process: bool, longest: float = LONGEST
) -> None:
    """Run a scenario: in virtual time if it needs nothing but this process, else within so many seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(longest):
            await scenario()

    if in_process:
        VirtualClock().run(scenario())
    else:
        asyncio.run(bounded())


class Applicable:
    """A test that may not apply to what is under test."""

    def applies(self, holds: bool, otherwise: str) -> None:
        """Skip the test, with the reason, unless it applies."""
        if not holds:
            pytest.skip(otherwise)


class Checks(Applicable):
    """Runs checks against a far side: in virtual time where the backend needs nothing but this process."""

    def fake_service(self) -> FakeService:
        """A new far side, with the backend under test."""
        raise NotImplementedError(f"{type(self).__name__} tests nothing: override fake_service()")

    def run(
        self,
        check: Callable[[Harness, FakeService], Awaitable[None]],
        first: Callable[[FakeService], Awaitable[None]] | None = None,
        earlier: PastConversation | None = None,
    ) -> None:
        """Run a check, within a deadline and until the last task is gone.

        Args:
            check: The check.
            first: What is done with the far side before the backend connects.
            earlier: What was said before; None in a call that begins here.
        """
        far = self.fake_service()

        async def conversation() -> None:
            async with far:
                if first is not None:
                    await first(far)
                async with Harness(far, earlier) as harness:
                    await check(harness, far)

        run_bounded(conversation, in_process=far.backend().in_process)

    def capabilities(self) -> Capabilities:
        """Return the capabilities that the backend claims."""
        return self.fake_service().backend().capabilities
