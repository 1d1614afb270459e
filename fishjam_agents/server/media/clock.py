"""The room clock: one ticker for every room of the server.

Time in a room is counted in windows of 20 ms. When tick `k` fires, window `k - 1` - the room time from
`(k - 1) * 0.02` to `k * 0.02` seconds - is over, and everything that sounded in it is handed on: a
microphone cannot send a packet before its last sample was spoken. Callers, recordings and agent tracks all
count samples from the same zero, so they agree whatever the scheduler does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ...audio.formats import FRAMES_PER_SECOND
from ..rate_limited_log import RateLimitedLog

_log = logging.getLogger(__name__)

MAX_BURST = 25
"""Ticks made up for in one go; sockets get their turn in between when the loop was blocked for longer."""


class RoomClock:
    """Ticks every 20 ms by absolute deadlines on the running loop, with no task.

    A late loop is made up for: no tick is skipped, `position` never drifts from the loop's clock by more
    than the lag.

    Attributes:
        ticks: Ticks fired since `start`.
        lag: How late the latest tick was, in seconds.
        worst_lag: The worst `lag` since `start` or `reset_lag`, in seconds.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.lag = 0.0
        self.worst_lag = 0.0
        self._origin = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self._failure = RateLimitedLog(_log)
        self._subscribers: list[Callable[[int], None]] = []

    @property
    def position(self) -> float:
        """Room time of the latest tick, in seconds: `ticks * 0.02`."""
        return self.ticks / FRAMES_PER_SECOND

    @property
    def now(self) -> float:
        """Room time at this moment, in seconds, between two ticks too. Zero before `start`."""
        return 0.0 if self._loop is None else self._loop.time() - self._origin

    def subscribe(self, ticked: Callable[[int], None]) -> Callable[[], None]:
        """Call `ticked(ticks)` at each tick, on the loop; returns the function that ends it."""
        self._subscribers.append(ticked)

        def unsubscribe() -> None:
            if ticked in self._subscribers:
                self._subscribers.remove(ticked)

        return unsubscribe

    def reset_lag(self) -> None:
        """Forget `worst_lag`: a run that begins now judges itself alone."""
        self.worst_lag = 0.0

    def start(self) -> None:
        """Begin at room time zero on the running loop.

        Raises:
            RuntimeError: The clock runs already.
        """
        if self._loop is not None:
            raise RuntimeError("the room clock runs already: stop it first")
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self.ticks = 0
        self._schedule()

    def stop(self) -> None:
        """Tick no more. Does nothing when stopped."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._loop = None

    async def wait_until(self, position: float) -> None:
        """Return once the tick at or after `position` (room seconds) has fired."""
        if self.position >= position:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ticked(ticks: int) -> None:
            if ticks / FRAMES_PER_SECOND >= position and not reached.done():
                reached.set_result(None)

        unsubscribe = self.subscribe(ticked)
        try:
            await reached
        finally:
            unsubscribe()

    def _schedule(self) -> None:
        if self._loop is not None:
            deadline = self._origin + (self.ticks + 1) / FRAMES_PER_SECOND
            self._handle = self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        try:
            for _ in range(MAX_BURST):
                if self._loop is None:
                    return
                late = self._loop.time() - self._origin - (self.ticks + 1) / FRAMES_PER_SECOND
                # A loop may run a timer a clock resolution early, so only the first tick of a burst is
                # taken on the timer's word.
                if late < 0 and _:
                    return
                self.lag = max(late, 0.0)
                self.worst_lag = max(self.worst_lag, self.lag)
                self.ticks += 1
                for ticked in tuple(self._subscribers):
                    try:
                        ticked(self.ticks)
                    except Exception:  # noqa: BLE001 - whoever it is, the time of every room goes on
                        self._failure.exception("a subscriber of the room clock failed")
        finally:
            self._schedule()
