"""A request to end simulated calls early, which keeps what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fishjam_agents.errors import FishjamAgentsError


class StoppedError(FishjamAgentsError):
    """A call was asked to stop before it began: nothing of it was recorded."""

    def __init__(self) -> None:
        super().__init__("the call was stopped before it began: run it again")


class StopRequest:
    """A request that calls are asked to look at: each ends within a tick of its room's clock.

    It wakes no loop, so a signal handler may make it.

    Attributes:
        asked: Whether it was made.
        begun: Whether a call has begun to be recorded.
        calls: Number of calls that are going on.
    """

    def __init__(self) -> None:
        self.asked = False
        self.begun = False
        self.calls = 0

    def ask(self) -> None:
        """End the calls that go on, and begin no other."""
        self.asked = True

    def check(self) -> None:
        """Begin no call where it was made.

        Raises:
            StoppedError: It was.
        """
        if self.asked:
            raise StoppedError

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call while it goes on.

        Raises:
            StoppedError: None is to begin any more.
        """
        self.check()
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1
