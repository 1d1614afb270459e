"""When a process takes no further rooms because it is too busy."""

from __future__ import annotations

import pytest

from fishjam_agents.testing import VirtualClock
from fishjam_agents.worker import WorkersSettings
from fishjam_agents.worker.load import INTERVAL, WINDOW, LoadMonitor

DEFAULT = WorkersSettings()


def after(*samples: tuple[float, float], settings: WorkersSettings = DEFAULT) -> LoadMonitor:
    """A monitor after samples of lag and of CPU, each lasting as long as its window."""
    used = [0.0]
    monitor = LoadMonitor(settings, lambda: used[0])
    now = 0.0
    for lag, cpu in samples:
        for _ in range(WINDOW + 1):
            now += INTERVAL
            used[0] += cpu * INTERVAL
            monitor.sample(now, lag)
    return monitor


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
def test_what_is_over_its_limit(samples: list[tuple[float, float]], sentence: str | None) -> None:
    assert after(*samples).overload() == sentence


def test_a_single_stall_is_no_load() -> None:
    monitor = after((0.001, 0.5))
    monitor.sample(1000.0, 0.9)
    assert monitor.overload() is None


def test_without_limits_nothing_is_over_them() -> None:
    monitor = after((9.0, 9.0), settings=WorkersSettings(max_loop_lag=None, max_cpu=None))
    assert monitor.overload() is None
    assert monitor.load.cpu == pytest.approx(9.0)


def test_it_measures_the_loop_that_it_runs_on(virtual_clock: VirtualClock) -> None:
    import asyncio

    async def scenario() -> LoadMonitor:
        monitor = LoadMonitor(WorkersSettings(), lambda: 0.0)
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(INTERVAL * 10.5)
        task.cancel()
        return monitor

    assert virtual_clock.run(scenario()).load.lag < 0.01
