from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fishjam_agents.errors import SessionError
from fishjam_agents.playout.sender import TrackSender
from fishjam_agents.testing import VirtualClock


class Track:
    """A track whose socket takes what it is told to take."""

    id = "track"

    def __init__(self, wait: Callable[[], Awaitable[None]]) -> None:
        self.done: list[bytes | None] = []
        self._wait = wait

    async def send_chunk(self, data: bytes) -> None:
        await self._wait()
        self.done.append(data)

    async def interrupt(self) -> None:
        await self._wait()
        self.done.append(None)


async def at_once() -> None:
    pass


def test_what_does_not_wait_needs_no_task(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        track = Track(at_once)
        sender = TrackSender(track, pytest.fail)
        for data in (b"a", b"b"):
            sender.send(data)
        sender.interrupt()
        assert track.done == [b"a", b"b", None]
        assert len(asyncio.all_tasks()) == 1

    virtual_clock.run(scenario())


class PostingTrack(Track):
    """A track that takes chunks without a coroutine, up to a number of them."""

    def __init__(self, wait: Callable[[], Awaitable[None]], room: int) -> None:
        super().__init__(wait)
        self.room = room

    def post_chunk(self, data: bytes) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.done.append(data)
        return True


def test_a_track_that_can_be_posted_to_is_asked_first_and_order_is_kept(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        track = PostingTrack(wait, room=2)
        sender = TrackSender(track, pytest.fail)
        assert [sender.send(data) for data in (b"a", b"b", b"c")] == [True, True, False]
        # It has room again, but what waits comes first.
        track.room = 1
        assert not sender.send(b"d")
        assert track.done == [b"a", b"b"]
        gate.set()
        await asyncio.sleep(0.01)
        assert sender.send(b"e")
        assert track.done == [b"a", b"b", b"c", b"d", b"e"]

    virtual_clock.run(scenario())


def test_what_raises_while_it_is_posted_to_is_a_dead_track(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        class Broken(PostingTrack):
            def post_chunk(self, data: bytes) -> bool:
                raise ConnectionResetError("gone")

        failures: list[Exception] = []
        sender = TrackSender(Broken(at_once, room=1), failures.append)
        assert not sender.send(b"a")
        assert not sender.send(b"b")
        assert [str(failure) for failure in failures] == ["gone"]

    virtual_clock.run(scenario())


def test_order_is_kept_when_the_socket_pushes_back(virtual_clock: VirtualClock) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        track = Track(wait)
        sender = TrackSender(track, pytest.fail)
        sender.send(b"a")
        sender.send(b"b")
        assert sender.blocked
        sender.interrupt()
        sender.send(b"c")
        gate.set()
        await asyncio.sleep(0.01)
        # b was overtaken by the interrupt that would have dropped it anyway.
        assert track.done == [b"a", None, b"c"]
        assert not sender.blocked

    virtual_clock.run(scenario())


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), None], ids=["raises", "hangs"])
def test_a_dead_track_is_reported_once(virtual_clock: VirtualClock, error: Exception | None) -> None:
    async def scenario() -> list[Exception]:
        async def wait() -> None:
            await asyncio.sleep(1 if error else 100)
            if error:
                raise error

        failures: list[Exception] = []
        sender = TrackSender(Track(wait), failures.append)
        for _ in range(3):
            sender.send(b"a")
        await asyncio.sleep(20)
        sender.send(b"b")
        await sender.close()
        return failures

    (failure,) = virtual_clock.run(scenario())
    assert failure is error if error else isinstance(failure, SessionError)
