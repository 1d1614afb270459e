"""Limits of one client's event-loop time, so that no flood of messages takes it from the rooms.

A client that sends more than can be handled in its allowance is read no further for the rest of the window:
TCP's flow control holds it back. Nothing is lost, and a client that sends audio in real time never notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

WINDOW_SECONDS = 0.02
"""Seconds after which an allowance begins anew: with the ticks of the room clock."""

ALLOWANCE_SECONDS = 0.004
"""Seconds of a window for a client at first; 50 messages of audio take a tenth of it. Our choice."""

TURN_SECONDS = 0.001
"""Seconds that a client which has used up its allowance may take at least when its turn comes."""

SHARE_SECONDS = 0.006
"""Seconds of a window that all those clients together may take; the rest go on in the next one."""


class Held(Protocol):
    """A client that has used up its allowance."""

    def go_on(self, seconds: float) -> bool:
        """Handle more of what waits, for about so long; whether anything still waits."""
        ...


class Throttle:
    """The clients that are held back, and whose turn it is. One for each server."""

    def __init__(self) -> None:
        self._held: deque[Held] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, client: Held) -> None:
        """Let `client` go on in a later window."""
        self._held.append(client)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._turns)

    def _turns(self) -> None:
        self._timer = None
        end = perf_counter() + SHARE_SECONDS
        waiting = len(self._held)
        while waiting and perf_counter() < end:
            waiting -= 1
            client = self._held.popleft()
            if client.go_on(max(TURN_SECONDS, SHARE_SECONDS / (waiting + 1))):
                self._held.append(client)
        if self._held:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._turns)
