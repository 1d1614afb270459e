"""Load of a worker's process: the limits of its settings, and whether it is over one."""

from __future__ import annotations

import asyncio

from fishjam_agents.pipeline.process_load import INTERVAL, Load, LoadLimits, LoadState, ProcessLoad
from fishjam_agents.worker.settings import WorkersSettings


class LoadMonitor:
    """Has the load measured while no call does that, and says what is over its limit.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: WorkersSettings) -> None:
        self._settings = settings
        self._process: ProcessLoad | None = None

    @property
    def load(self) -> Load:
        """Average of the last seconds."""
        return Load() if self._process is None else self._process.load

    @property
    def state(self) -> LoadState:
        """State of the process, by its limits."""
        return "relieved" if self._process is None else self._process.state

    @property
    def overloads(self) -> int:
        """Number of times that the process went over a limit."""
        return 0 if self._process is None else self._process.overloads

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        process = self._process = ProcessLoad.shared()
        process.limits = LoadLimits(self._settings.max_loop_lag, self._settings.max_cpu)
        due = loop.time()
        while True:
            due += INTERVAL
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            if not process.is_watched:
                process.sample(now, now - due)
            due = max(due, now)

    def overload(self) -> str | None:
        """The limit that the process is over, as a sentence; None while it is over none."""
        over = () if self._process is None else self._process.over
        if "lag" in over:
            lag, limit = 1000 * self.load.lag, self._settings.max_loop_lag
            return f"its event loop is {lag:.0f} ms late, and workers.max_loop_lag is {limit:g} s"
        if "cpu" in over:
            return f"it uses {self.load.cpu:.0%} of a core, and workers.max_cpu is {self._settings.max_cpu:g}"
        return None
