"""Load of a process: how late its event loop is, and how busy it keeps its core."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fishjam_agents.worker.settings import WorkersSettings

INTERVAL = 0.25
"""Seconds between two samples."""
WINDOW = 20
"""Samples that are averaged: a load of a few seconds counts, a single stall does not."""
RELIEF = 0.8
"""Share of a limit below which a process that was over it takes rooms again."""


@dataclass(frozen=True, slots=True)
class Load:
    """Average of the last seconds.

    Attributes:
        lag: Seconds that the event loop was late.
        cpu: Share of one core; more than 1 where threads work beside the loop.
    """

    lag: float = 0.0
    cpu: float = 0.0


class LoadMonitor:
    """Measures the load, and says what is over its limit.

    Args:
        settings: The limits.
        cpu: Seconds of CPU the process has used.
    """

    def __init__(self, settings: WorkersSettings, cpu: Callable[[], float] = time.process_time) -> None:
        self._settings = settings
        self._cpu = cpu
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=WINDOW + 1)
        self._over: set[str] = set()
        self.load = Load()

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += INTERVAL
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            self.sample(now, now - due)
            due = max(due, now)

    def sample(self, now: float, lag: float) -> None:
        """Take a sample.

        Args:
            now: Loop time.
            lag: Seconds that the loop was late.
        """
        self._samples.append((now, self._cpu(), max(0.0, lag)))
        if len(self._samples) < 2:
            return
        (first, used, _), (last, used_now, _) = self._samples[0], self._samples[-1]
        lags = [late for _, _, late in self._samples]
        cpu = (used_now - used) / (last - first) if last > first else 0.0
        self.load = Load(sum(lags) / len(lags), cpu)
        self._judge("max_loop_lag", self.load.lag)
        self._judge("max_cpu", self.load.cpu)

    def _judge(self, name: str, value: float) -> None:
        limit: float | None = getattr(self._settings, name)
        if limit is None:
            return
        if value > limit:
            self._over.add(name)
        elif value < RELIEF * limit:
            self._over.discard(name)

    def overload(self) -> str | None:
        """The limit that the process is over, as a sentence; None while it is over none."""
        if "max_loop_lag" in self._over:
            lag = self.load.lag * 1000
            limit = self._limit("max_loop_lag")
            return f"its event loop is {lag:.0f} ms late, and workers.max_loop_lag is {limit} s"
        if "max_cpu" in self._over:
            return f"it uses {self.load.cpu:.0%} of a core, and workers.max_cpu is {self._limit('max_cpu')}"
        return None

    def _limit(self, name: str) -> str:
        return f"{getattr(self._settings, name):g}"
