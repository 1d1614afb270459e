"""Tasks that end together."""

from __future__ import annotations

import asyncio

import pytest

from fishjam_agents.race import race, until_ready
from fishjam_agents.testing import VirtualClock


async def _after(seconds: float, error: Exception | None = None) -> None:
    await asyncio.sleep(seconds)
    if error is not None:
        raise error


def test_the_first_to_end_ends_the_others(virtual_clock: VirtualClock) -> None:
    async def scenario() -> tuple[float, set[str]]:
        await race("work", short=_after(1.0), long=_after(9.0))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        return asyncio.get_running_loop().time(), {task.get_name() for task in left if task is not None}

    assert virtual_clock.run(scenario()) == (1.0, set())


def test_the_first_error_is_raised_and_of_two_at_once_the_one_named_first(
    virtual_clock: VirtualClock,
) -> None:
    with pytest.raises(KeyError):
        virtual_clock.run(race("work", one=_after(2.0), other=_after(1.0, KeyError("x"))))
    with pytest.raises(KeyError):
        virtual_clock.run(race("work", one=_after(1.0, KeyError("x")), other=_after(1.0, ValueError("y"))))


def test_cancelling_a_race_ends_all_of_it(virtual_clock: VirtualClock) -> None:
    async def scenario() -> list[str]:
        racing = asyncio.create_task(race("work", one=_after(9.0), other=_after(9.0)))
        await asyncio.sleep(1.0)
        racing.cancel()
        await asyncio.gather(racing, return_exceptions=True)
        return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert virtual_clock.run(scenario()) == []


def test_work_is_waited_for_until_it_is_ready_or_has_failed(virtual_clock: VirtualClock) -> None:
    async def ready() -> bool:
        work = asyncio.create_task(_after(9.0))
        await until_ready(work, asyncio.sleep(1.0))
        running = not work.done()
        work.cancel()
        return running

    async def failed() -> None:
        work = asyncio.create_task(_after(1.0, KeyError("x")))
        await until_ready(work, asyncio.sleep(9.0))

    assert virtual_clock.run(ready())
    with pytest.raises(KeyError):
        virtual_clock.run(failed())
