"""States of a process by its load, and the order in which it degrades."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from fishjam_agents.pipeline.process_load import INTERVAL, RECENT, WINDOW, LoadLimits, ProcessLoad
from fishjam_agents.testing import VirtualClock


@dataclass
class Measured:
    """A load that is told what it would measure."""

    used: float = 0.0
    now: float = 0.0
    states: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.process = ProcessLoad(lambda: (self.used, self.used))

    def seconds(self, seconds: float, cpu: float, lag: float = 0.0) -> str:
        """Have a load for a while; returns what it is taken for at the end."""
        for _ in range(round(seconds / INTERVAL)):
            self.now += INTERVAL
            self.used += cpu * INTERVAL
            self.process.sample(self.now, lag)
            if not self.states or self.states[-1] != self.process.state:
                self.states.append(self.process.state)
            assert self.process.thinning.active == (self.process.state != "relieved")
        return self.process.state


def test_detection_is_thinned_before_calls_are_refused_and_both_end_in_the_reverse_order() -> None:
    measured = Measured()
    assert measured.seconds(10, cpu=0.6) == "relieved"
    assert measured.seconds(10, cpu=0.8) == "thinned"
    assert measured.seconds(10, cpu=0.97) == "overloaded"
    assert measured.process.over == {"cpu"}
    measured.seconds(10, cpu=0.7)
    assert measured.seconds(10, cpu=0.4) == "relieved"
    assert measured.states == ["relieved", "thinned", "overloaded", "thinned", "relieved"]
    assert measured.process.overloads == 1


def test_a_load_that_rises_at_once_is_answered_by_thinning_first() -> None:
    measured = Measured()
    measured.seconds(6, cpu=0.3)
    measured.seconds(10, cpu=1.0, lag=0.2)
    assert measured.states[:3] == ["relieved", "thinned", "overloaded"]


def test_what_thinning_saves_does_not_end_it() -> None:
    measured = Measured()
    measured.seconds(5, cpu=0.8)
    assert measured.seconds(30, cpu=0.66) == "thinned"


def test_a_single_stall_and_a_second_of_work_are_no_load() -> None:
    measured = Measured()
    measured.seconds(10, cpu=0.5, lag=0.001)
    measured.now += 1.0
    measured.process.sample(measured.now, 0.02)
    measured.seconds(1, cpu=1.0)
    measured.seconds(5, cpu=0.5)
    assert measured.states == ["relieved"]


def test_a_process_that_begins_is_busy_for_a_moment() -> None:
    measured = Measured()
    measured.seconds(0.5, cpu=1.0, lag=0.1)
    measured.seconds(10, cpu=0.3)
    assert measured.states == ["relieved"]


def test_a_late_loop_is_a_load_whatever_cpu_it_gets() -> None:
    measured = Measured()
    assert measured.seconds(10, cpu=0.2, lag=0.045) == "thinned"
    assert measured.seconds(10, cpu=0.2, lag=0.06) == "overloaded"


def test_limits_that_were_removed_are_not_reached_and_detection_is_thinned_nevertheless() -> None:
    measured = Measured()
    measured.process.limits = LoadLimits(None, None)
    assert measured.seconds(10, cpu=1.0, lag=1.0) == "thinned"


def test_threads_beside_the_loop_count_for_the_limit_and_thin_nothing_before() -> None:
    used = [0.0, 0.0]
    process, now = ProcessLoad(lambda: (used[0], used[1])), 0.0
    states = []
    for cores in (0.85, 1.5):
        for _ in range(WINDOW + 1):
            now += INTERVAL
            used[0] += cores * INTERVAL
            used[1] += 0.3 * INTERVAL
            process.sample(now, 0.0)
        states.append(process.state)
    assert states == ["relieved", "overloaded"]


def test_what_was_before_a_time_without_samples_counts_no_more() -> None:
    measured = Measured()
    measured.seconds(10, cpu=1.0)
    measured.now += 60
    assert measured.seconds(1.0, cpu=0.1) == "relieved"


def test_calls_measure_it_by_their_tick_and_are_told_of_changes(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        used = [0.0]
        process = ProcessLoad._shared[loop] = ProcessLoad(lambda: (used[0], used[0]))
        told: list[str] = []
        leave = ProcessLoad.shared().watch(lambda: told.append(process.state))
        assert process.is_watched
        for step in range(400):
            used[0] += 0.02 * (0.99 if step > 100 else 0.2)
            await asyncio.sleep(0.02)
        assert told == ["thinned", "overloaded"]

        # Who comes later learns it at once, and nobody is told twice.
        later: list[str] = []
        leave_later = process.watch(lambda: later.append(process.state))
        assert later == ["overloaded"]
        leave()
        leave()
        assert process.is_watched
        leave_later()
        assert not process.is_watched
        samples = len(process._samples)
        await asyncio.sleep(5)
        assert len(process._samples) == samples

    virtual_clock.run(scenario())


def test_virtual_time_has_no_load_however_much_is_computed(virtual_clock: VirtualClock) -> None:
    async def scenario() -> ProcessLoad:
        process = ProcessLoad.shared()
        leave = process.watch(lambda: pytest.fail("a load was told"))
        for _ in range(50 * RECENT):
            sum(range(1000))
            await asyncio.sleep(0.02)
        leave()
        return process

    assert virtual_clock.run(scenario()).load.busy == 0.0
