"""Writes of all connections of an event loop, one after the other at the end of a turn in which many come.

The network's code and Python's drive each other out of a processor's caches, and a write wakes a reader that
has gone to sleep since the one before: together they cost less. Where they come alone each is done at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar
from weakref import WeakKeyDictionary

WORTHWHILE = 4.0
"""Writes in a turn, in the mean over some, below which waiting does not pay for another turn of the loop."""
_FIRST_MEAN = 1.5 * WORTHWHILE
_TRIAL_EVERY = 100
"""Writes that are done at once between two trials whether they come together."""
_RATE = 1 / 8
_MOST = 64 * 1024
"""Bytes that wait: a hundred frames. More is written at once: a turn after a stall has many."""

logger = logging.getLogger(__name__)


class GatheredWrites:
    """Writer of the connections of one loop."""

    __slots__ = ("__weakref__", "_alone", "_bytes", "_gathers", "_mean", "_turn_ends", "_waiting", "_writes")

    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, GatheredWrites]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Transport, bytes] = {}
        self._bytes = 0
        self._gathers = False
        self._turn_ends = False
        self._alone = 0
        self._writes = 0
        self._mean = _FIRST_MEAN

    @classmethod
    def shared(cls, loop: asyncio.AbstractEventLoop) -> GatheredWrites:
        """The writer of a loop."""
        writes = cls._shared.get(loop)
        if writes is None:
            writes = cls._shared[loop] = cls()
        return writes

    def write(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, data: bytes) -> None:
        """Write to a transport that keeps up: now, or at the end of this turn of the loop.

        Args:
            loop: The running loop.
            transport: Where to; what is written to it otherwise is to follow a `settle`.
            data: The bytes. Those for one transport are written in order.
        """
        if not self._gathers:
            transport.write(data)
            self._alone += 1
            if self._alone >= _TRIAL_EVERY:
                self._gathers, self._mean = True, _FIRST_MEAN
            return
        if not self._turn_ends:
            self._turn_ends = True
            loop.call_soon(self._end_turn)
        self._writes += 1
        before = self._waiting.get(transport)
        self._waiting[transport] = data if before is None else before + data
        self._bytes += len(data)
        if self._bytes > _MOST:
            self.settle()

    def _end_turn(self) -> None:
        self._turn_ends = False
        self._mean += _RATE * (self._writes - self._mean)
        self._writes = 0
        if self._mean < WORTHWHILE:
            self._gathers, self._alone = False, 0
        self.settle()

    def settle(self) -> None:
        """Write what waits now."""
        if not self._waiting:
            return
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        for transport, data in waiting.items():
            if transport.is_closing():
                # Its end is told by its protocol.
                continue
            try:
                transport.write(data)
            except Exception:
                # The others may belong to other calls.
                logger.exception("A connection could not be written to")
