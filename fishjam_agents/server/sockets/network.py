"""A network between an agent and the server: messages that arrive late, never out of order."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable


class Network:
    """Network conditions for every message from an agent.

    Args:
        delay: Seconds every message takes.
        jitter: Largest extra, in seconds, drawn evenly for each message.
        seed: Seed of that draw.

    Attributes:
        delay: May be changed at any time; messages sent from then on follow.
        jitter: Likewise.
    """

    def __init__(self, delay: float = 0.0, jitter: float = 0.0, seed: int = 0) -> None:
        self.delay = delay
        self.jitter = jitter
        self._rng = random.Random(seed)

    @property
    def bends(self) -> bool:
        """True if it does anything at all."""
        return self.delay > 0 or self.jitter > 0

    def draw(self) -> float:
        """Return the seconds that the next message takes."""
        return self.delay + self._rng.uniform(0.0, self.jitter)

    def link(self, deliver: Callable[[bytes], None]) -> Link:
        """A new connection through this network."""
        return Link(deliver, self)


class Link:
    """One connection: messages arrive late, but in the order they were sent.

    Args:
        deliver: Called with each message when it arrives.
        network: How late messages are.
    """

    def __init__(self, deliver: Callable[[bytes], None], network: Network) -> None:
        self._deliver = deliver
        self._network = network
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def send(self, message: bytes) -> None:
        """Put a message on the way; it arrives in a later turn of the loop, however short the way."""
        loop = self._loop
        due = loop.time() + self._network.draw()
        if self._under_way:
            due = max(due, self._under_way[-1][0])
        self._under_way.append((due, message))
        if self._timer is None:
            self._timer = loop.call_at(due, self._arrive)

    @property
    def empty(self) -> bool:
        """True while nothing is under way."""
        return not self._under_way

    def close(self) -> None:
        """Lose whatever is still under way."""
        self._closed = True
        self._under_way.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        loop = self._loop
        # The first is due, whatever rounding the loop's timers have.
        due = 0.0
        while due <= loop.time():
            self._deliver(self._under_way.popleft()[1])
            if self._closed or not self._under_way:
                return
            due = self._under_way[0][0]
        self._timer = loop.call_at(due, self._arrive)
