"""Turns of calls that lost one vendor at the same time: they come back one after another."""

from __future__ import annotations

import asyncio
from typing import ClassVar
from weakref import WeakKeyDictionary

RATE = 40.0
"""Connections a second that one process opens anew to one vendor: a service that has just failed under its
load is not given all of it in one moment, and a hundred calls are back in 2.5 s."""


class ReconnectPace:
    """The turns of one event loop. A call that is alone never waits."""

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, ReconnectPace]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._free: dict[str, float] = {}

    @classmethod
    def shared(cls) -> ReconnectPace:
        """The turns of the running loop."""
        loop = asyncio.get_running_loop()
        pace = cls._shared.get(loop)
        if pace is None:
            pace = cls._shared[loop] = cls()
        return pace

    def reserve(self, vendor: str, now: float) -> float:
        """Take the next turn.

        Args:
            vendor: Whose connections have turns of their own.
            now: Loop time.

        Returns:
            Seconds until it comes.
        """
        turn = max(now, self._free.get(vendor, 0.0))
        self._free[vendor] = turn + 1 / RATE
        return turn - now
