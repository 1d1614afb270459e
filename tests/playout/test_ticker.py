"""The one tick of a process."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from fishjam_agents.pipeline.process_load import ProcessLoad
from fishjam_agents.playout.ticker import Ticker
from fishjam_agents.testing import VirtualClock


def test_one_ticker_serves_all_and_survives_a_bad_one(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> tuple[list[float], Ticker]:
        ticks: list[float] = []

        def bad(now: float) -> None:
            raise ValueError("bad")

        ticker = Ticker.shared()
        assert ticker is Ticker.shared()
        ticker.subscribe(bad)
        end = ticker.subscribe(ticks.append)
        await asyncio.sleep(1.0)
        end()
        await asyncio.sleep(1.0)
        return ticks, ticker

    ticks, _ = virtual_clock.run(scenario())
    assert ticks == pytest.approx([0.02 * n for n in range(1, 51)], abs=1e-6)
    assert "no longer called" in caplog.text


def test_one_that_comes_as_the_last_one_leaves_is_ticked_every_20_ms(virtual_clock: VirtualClock) -> None:
    async def scenario() -> list[float]:
        ticks: list[float] = []
        ticker = Ticker.shared()

        def hand_over(now: float) -> None:
            leave()
            ticker.subscribe(ticks.append)

        leave = ticker.subscribe(hand_over)
        await asyncio.sleep(0.21)
        return ticks

    assert virtual_clock.run(scenario()) == pytest.approx([0.02 * n for n in range(2, 11)], abs=1e-6)


def test_one_that_was_ended_in_the_same_tick_is_not_called(virtual_clock: VirtualClock) -> None:
    async def scenario() -> list[float]:
        ticks: list[float] = []
        ends: list[Callable[[], None]] = []
        ticker = Ticker.shared()
        ticker.subscribe(lambda now: ends.pop()() if ends else None)
        ends.append(ticker.subscribe(ticks.append))
        await asyncio.sleep(0.1)
        return ticks

    assert virtual_clock.run(scenario()) == []


def test_a_loop_that_is_over_is_forgotten_with_its_ticker_and_its_load() -> None:
    async def scenario() -> weakref.ref[asyncio.AbstractEventLoop]:
        leave = Ticker.shared().subscribe(lambda now: None)
        unwatch = ProcessLoad.shared().watch(lambda: None)
        await asyncio.sleep(0.5)
        leave()
        unwatch()
        return weakref.ref(asyncio.get_running_loop())

    for run in (VirtualClock().run, asyncio.run):
        loop = run(scenario())
        gc.collect()
        assert loop() is None
