"""The room clock and the network, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from fishjam_agents.server.media.clock import RoomClock
from fishjam_agents.server.sockets.network import Network
from fishjam_agents.testing.clock import VirtualClock


def test_the_clock_ticks_every_20_ms_and_never_drifts() -> None:
    async def scenario() -> None:
        clock = RoomClock()
        loop = asyncio.get_running_loop()
        zero = loop.time()
        at: list[float] = []
        clock.subscribe(lambda ticks: at.append(loop.time() - zero))
        clock.start()
        await clock.wait_until(600.0)
        clock.stop()
        assert clock.ticks == len(at) == 30000
        assert clock.position == 600.0
        assert max(abs(time - tick * 0.02) for tick, time in enumerate(at, start=1)) < 1e-6

    VirtualClock(limit=1000).run(scenario())


def test_a_blocked_loop_is_made_up_for_and_remembered() -> None:
    async def scenario() -> None:
        clock = RoomClock()
        ticks: list[int] = []
        clock.subscribe(ticks.append)
        clock.start()
        await clock.wait_until(0.1)
        loop = asyncio.get_running_loop()
        loop.now += 1.0  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)
        assert ticks == list(range(1, len(ticks) + 1))
        assert clock.now - clock.position <= 0.02 + 1e-6
        assert 0.97 < clock.worst_lag <= 1.0
        clock.reset_lag()
        await clock.wait_until(2.0)
        assert clock.worst_lag < 1e-6
        clock.stop()

    VirtualClock(limit=100).run(scenario())


def test_a_subscriber_that_fails_does_not_stop_time(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        clock = RoomClock()
        unsubscribe = clock.subscribe(lambda _: [][0])
        clock.start()
        await asyncio.sleep(0.05)
        unsubscribe()
        await clock.wait_until(1.0)
        clock.stop()

    VirtualClock(limit=100).run(scenario())
    # Twice within a minute is said once.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [IndexError]


def test_a_clock_starts_once() -> None:
    async def scenario() -> None:
        clock = RoomClock()
        clock.start()
        with pytest.raises(RuntimeError, match="runs already"):
            clock.start()
        clock.stop()
        clock.stop()

    VirtualClock().run(scenario())


def test_a_jittery_network_keeps_the_order() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        zero = loop.time()
        arrived: list[tuple[float, int]] = []
        link = Network(delay=0.1, jitter=0.08, seed=3).link(
            lambda message: arrived.append((loop.time() - zero, message[0]))
        )
        for number in range(50):
            link.send(bytes([number]))
            await asyncio.sleep(0.02)
        await asyncio.sleep(1.0)
        assert [number for _, number in arrived] == list(range(50))
        ways = [time - number * 0.02 for time, number in arrived]
        assert min(ways) >= 0.1 - 1e-6
        assert max(ways) <= 0.18 + 1e-6
        assert max(ways) - min(ways) > 0.05

    VirtualClock(limit=100).run(scenario())


def test_what_is_under_way_is_lost_with_the_connection() -> None:
    async def scenario() -> None:
        arrived: list[bytes] = []
        link = Network(delay=0.1).link(arrived.append)
        link.send(b"a")
        await asyncio.sleep(0.2)
        link.send(b"b")
        link.close()
        await asyncio.sleep(0.2)
        assert arrived == [b"a"]

    VirtualClock(limit=100).run(scenario())
