"""A network between an agent and the server: messages that arrive late, never out of order."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable


class Network:
    """What every message from an agent suffers on its way.

    Attributes:
        delay: Seconds every message takes; may be changed, new connections follow.
        jitter: Largest extra, in seconds.
    """

    def __init__(self, delay: float = 0.0, jitter: float = 0.0, seed: int = 0) -> None:
        self.delay = delay
        self.jitter = jitter
        self._rng = random.Random(seed)

    @property
    def bends(self) -> bool:
        """Whether it does anything at all."""
        return self.delay > 0 or self.jitter > 0

    def link(self, deliver: Callable[[bytes], None]) -> Link:
        """A new connection through this network."""
        return Link(deliver, self.delay, self.jitter, self._rng)


class Link:
    """Delivers messages after `delay` plus up to `jitter` seconds, in the order they were sent.

    Args:
        deliver: Called with each message when it arrives.
        delay: Seconds every message takes.
        jitter: Largest extra, in seconds; drawn evenly for each message.
        rng: Where the extra is drawn from.
    """

    def __init__(
        self, deliver: Callable[[bytes], None], delay: float, jitter: float, rng: random.Random
    ) -> None:
        self._deliver = deliver
        self._delay = delay
        self._jitter = jitter
        self._rng = rng
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def send(self, message: bytes) -> None:
        """Put a message on the way."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._delay + self._rng.uniform(0.0, self._jitter)
        if self._under_way:
            due = max(due, self._under_way[-1][0])
        self._under_way.append((due, message))
        if self._timer is None:
            self._timer = loop.call_at(due, self._arrive)

    def close(self) -> None:
        """Lose whatever is still under way."""
        self._closed = True
        self._under_way.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arrive(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        due, message = self._under_way.popleft()
        while True:
            self._deliver(message)
            if self._closed or not self._under_way:
                return
            due, message = self._under_way[0]
            if due > loop.time():
                break
            self._under_way.popleft()
        self._timer = loop.call_at(due, self._arrive)
