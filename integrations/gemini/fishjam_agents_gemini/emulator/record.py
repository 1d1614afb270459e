"""Record of a client's messages for tests, and waiting for more of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from .messages import Received


class Record:
    """Everything a client sent after its setup.

    Attributes:
        received: The messages, in order.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def note(self, name: str, value: Any = None) -> None:
        """A message came."""
        self.received.append(Received(name, value))
        self.look()

    def names(self) -> list[str]:
        """Names of what was received, runs of audio as one."""
        return [name for name, _ in itertools.groupby(entry.name for entry in self.received)]

    def of(self, name: str) -> list[Any]:
        """Return the contents of the messages of a name."""
        return [entry.value for entry in self.received if entry.name == name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is looked at whenever a message came."""
        if condition():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, waiter))
        await waiter

    def look(self) -> None:
        """Wake those whose condition holds."""
        for entry in list(self._waiting):
            condition, waiter = entry
            if condition() and not waiter.done():
                waiter.set_result(None)
            if waiter.done():
                self._waiting.remove(entry)
