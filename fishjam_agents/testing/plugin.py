"""The pytest plugin: installed with the package, active wherever pytest runs.

It imports nothing but pytest: what a fixture needs is loaded when a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline
    from fishjam_agents.testing.call import MemoryCall
    from fishjam_agents.testing.clock import VirtualClock


class StartCall(Protocol):
    """Function that the fixture `start_call` gives."""

    def __call__(self, bot: AgentPipeline, **options: Any) -> MemoryCall:
        """Put the bot into a room in memory; options are those of `MemoryCall`."""
        ...


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """Virtual time: `virtual_clock.run(coroutine)`."""
    from fishjam_agents.testing.clock import VirtualClock

    return VirtualClock()


@pytest.fixture
def start_call() -> Iterator[StartCall]:
    """For calls that last as long as the test, each with a bot in a room in memory."""
    from fishjam_agents.testing.call import MemoryCall

    with ExitStack() as calls:

        def start(bot: AgentPipeline, **options: Any) -> MemoryCall:
            return calls.enter_context(MemoryCall(bot, **options))

        yield start
