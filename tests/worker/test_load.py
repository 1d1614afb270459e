"""When a process takes no further rooms because it is too busy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fishjam_agents.pipeline.process_load import INTERVAL, WINDOW, ProcessLoad
from fishjam_agents.testing import VirtualClock
from fishjam_agents.worker import WorkersSettings
from fishjam_agents.worker.load import LoadMonitor

DEFAULT = WorkersSettings()


def after(
    clock: VirtualClock, samples: Sequence[tuple[float, float]], settings: WorkersSettings
) -> LoadMonitor:
    """A monitor after samples of lag and of CPU, each lasting as long as its window."""

    async def scenario() -> LoadMonitor:
        used = [0.0]
        process = ProcessLoad(lambda: (used[0], used[0]))
        ProcessLoad._shared[asyncio.get_running_loop()] = process
        monitor = LoadMonitor(settings)
        assert monitor.overload() is None
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(0)
        now = 0.0
        for lag, cpu in samples:
            for _ in range(WINDOW + 1):
                now += INTERVAL
                used[0] += cpu * INTERVAL
                process.sample(now, lag)
        task.cancel()
        return monitor

    return clock.run(scenario())


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([(0.001, 0.5)], None),
        ([(0.3, 0.5)], "its event loop is 300 ms late, and workers.max_loop_lag is 0.05 s"),
        ([(0.001, 0.97)], "it uses 97% of a core, and workers.max_cpu is 0.9"),
        # A little below the limit is not yet relief.
        ([(0.001, 0.97), (0.001, 0.85)], "it uses 85% of a core, and workers.max_cpu is 0.9"),
        ([(0.001, 0.97), (0.001, 0.6)], None),
    ],
)
def test_what_is_over_its_limit(
    virtual_clock: VirtualClock, samples: list[tuple[float, float]], sentence: str | None
) -> None:
    assert after(virtual_clock, samples, DEFAULT).overload() == sentence


def test_without_limits_nothing_is_over_them(virtual_clock: VirtualClock) -> None:
    monitor = after(virtual_clock, [(9.0, 9.0)], WorkersSettings(max_loop_lag=None, max_cpu=None))
    assert monitor.overload() is None
    assert monitor.load.cpu == pytest.approx(9.0)
    assert monitor.state == "thinned"


def test_it_measures_the_loop_that_it_runs_on(virtual_clock: VirtualClock) -> None:
    async def scenario() -> LoadMonitor:
        monitor = LoadMonitor(WorkersSettings())
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(INTERVAL * 10.5)
        task.cancel()
        return monitor

    monitor = virtual_clock.run(scenario())
    assert monitor.load.lag < 0.01
    assert monitor.state == "relieved"
