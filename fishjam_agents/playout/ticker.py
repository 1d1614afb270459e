"""One 20 ms tick per process: it pumps every playout and feeds every silence.

A task or a timer per call would spend the CPU budget on wake-ups. Deadlines are absolute, so ticks do not
drift; a loop that was held up gets one late tick, not a burst of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar
from weakref import WeakKeyDictionary

from fishjam_agents.audio.formats import FRAME_SECONDS

logger = logging.getLogger(__name__)


class Ticker:
    """Calls every subscriber each 20 ms with the loop's time. Runs only while someone subscribes.

    Attributes:
        lag: Seconds by which the last tick came after its deadline: how late the event loop was.
    """

    # A ticker does not hold its loop, which would hold both for good.
    _shared: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, Ticker]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._subscribers: dict[int, Callable[[float], None]] = {}
        self._next_key = 0
        self._deadline = 0.0
        self.lag = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def shared(cls) -> Ticker:
        """The ticker of the running loop."""
        loop = asyncio.get_running_loop()
        ticker = cls._shared.get(loop)
        if ticker is None:
            ticker = cls._shared[loop] = cls()
        return ticker

    def subscribe(self, tick: Callable[[float], None]) -> Callable[[], None]:
        """Call `tick(now)` every 20 ms.

        Args:
            tick: Synchronous and quick; one that raises is logged and not called again.

        Returns:
            The function that ends the subscription.
        """
        key = self._next_key
        self._next_key += 1
        self._subscribers[key] = tick
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.time() + FRAME_SECONDS
            self._timer = loop.call_at(self._deadline, self._tick)

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)
            if not self._subscribers and self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return unsubscribe

    def _tick(self) -> None:
        loop, timer = asyncio.get_running_loop(), self._timer
        now = loop.time()
        self.lag = max(0.0, now - self._deadline)
        for key, tick in list(self._subscribers.items()):
            if key not in self._subscribers:
                continue
            try:
                tick(now)
            except Exception:
                # The others may belong to other calls.
                logger.exception("A subscriber of the ticker failed and is no longer called")
                self._subscribers.pop(key, None)
        if self._timer is not timer:
            # The last subscriber left meanwhile, and perhaps another one came.
            return
        if not self._subscribers:
            self._timer = None
            return
        missed = int((now - self._deadline) / FRAME_SECONDS)
        self._deadline += FRAME_SECONDS * (missed + 1)
        self._timer = loop.call_at(self._deadline, self._tick)
