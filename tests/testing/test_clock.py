from __future__ import annotations

import asyncio
import threading

import pytest

from fishjam_agents.testing import VirtualClock, VirtualClockError


def test_ten_minutes_pass_at_once(virtual_clock: VirtualClock) -> None:
    async def wait() -> float:
        await asyncio.sleep(600)
        return asyncio.get_running_loop().time()

    assert virtual_clock.run(wait()) == pytest.approx(600)


def test_timers_fire_in_order(virtual_clock: VirtualClock) -> None:
    async def wait() -> list[int]:
        order: list[int] = []

        async def note(number: int, delay: float) -> None:
            await asyncio.sleep(delay)
            order.append(number)

        await asyncio.gather(note(3, 0.3), note(1, 0.1), note(2, 0.2))
        return order

    assert virtual_clock.run(wait()) == [1, 2, 3]


def test_timeouts_work(virtual_clock: VirtualClock) -> None:
    async def wait() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        virtual_clock.run(wait())


def test_a_deadlock_is_named(virtual_clock: VirtualClock) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(VirtualClockError, match="deadlock"):
        virtual_clock.run(wait())


def test_a_test_without_end_is_stopped() -> None:
    async def spin() -> None:
        for _ in range(1000):
            await asyncio.sleep(1)

    with pytest.raises(VirtualClockError, match="raise limit"):
        VirtualClock(limit=100).run(spin())


def test_real_sockets_and_processes_are_refused(virtual_clock: VirtualClock) -> None:
    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    async def start() -> None:
        await asyncio.create_subprocess_exec("true")

    for work in (connect, start):
        with pytest.raises(VirtualClockError, match="real sockets and processes"):
            virtual_clock.run(work())


def test_a_function_meant_for_a_thread_runs_in_place_and_takes_no_time(virtual_clock: VirtualClock) -> None:
    async def work() -> tuple[float, int]:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return asyncio.get_running_loop().time(), await asyncio.to_thread(threading.get_ident)

    assert virtual_clock.run(work()) == (0.0, threading.get_ident())
