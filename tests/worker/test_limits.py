"""What ends a call before anybody asks for it, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fishjam_agents.session import PeerType
from fishjam_agents.testing import MemoryRoom, VirtualClock
from fishjam_agents.worker import CallOutcome, LimitSettings
from fishjam_agents.worker.limits import CallLimits

Reached = list[tuple[CallOutcome, float]]
Story = Callable[[MemoryRoom], Awaitable[None]]


def reached(
    clock: VirtualClock, settings: LimitSettings, story: Story | None = None
) -> list[tuple[CallOutcome, float]]:
    """Run a `story(room)` in a call of 100 s and say which limits were reached when."""
    found: list[tuple[CallOutcome, float]] = []

    async def call() -> None:
        loop = asyncio.get_running_loop()
        zero = loop.time()
        async with MemoryRoom() as room:
            limits = CallLimits(settings, room, lambda end: found.append((end, round(loop.time() - zero))))
            limits.start()
            if story is not None:
                await story(room)
            await asyncio.sleep(100 - (loop.time() - zero))
            limits.close()
            await asyncio.sleep(100)

    clock.run(call())
    return found


def test_without_limits_nothing_ends(virtual_clock: VirtualClock) -> None:
    assert reached(virtual_clock, LimitSettings()) == []


def test_a_call_ends_at_its_longest(virtual_clock: VirtualClock) -> None:
    assert reached(virtual_clock, LimitSettings(max_call=60)) == [(CallOutcome.MAX_CALL, 60)]


def test_a_limit_after_the_end_of_the_call_is_not_reached(virtual_clock: VirtualClock) -> None:
    assert reached(virtual_clock, LimitSettings(max_call=150, empty_room=150)) == []


def test_nobody_comes(virtual_clock: VirtualClock) -> None:
    assert reached(virtual_clock, LimitSettings(empty_room=30)) == [(CallOutcome.EMPTY_ROOM, 30)]


def test_somebody_comes_in_time_and_leaves_later(virtual_clock: VirtualClock) -> None:
    async def story(room: MemoryRoom) -> None:
        await asyncio.sleep(20)
        room.join("alice")
        await asyncio.sleep(30)
        room.leave("alice")

    assert reached(virtual_clock, LimitSettings(empty_room=30), story) == [(CallOutcome.EMPTY_ROOM, 80)]


def test_other_bots_are_no_company(virtual_clock: VirtualClock) -> None:
    async def story(room: MemoryRoom) -> None:
        room.join("robot", PeerType.AGENT)

    assert reached(virtual_clock, LimitSettings(empty_room=30), story) == [(CallOutcome.EMPTY_ROOM, 30)]


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_how_long_a_lost_connection_is_waited_for_is_bounded(seconds: float) -> None:
    assert LimitSettings().reconnect == 60.0
    assert LimitSettings(reconnect=0).reconnect == 0
    with pytest.raises(ValueError, match=r"limits\.reconnect must be 0 or more seconds"):
        LimitSettings(reconnect=seconds)
