"""Two programs on one Fishjam: never two bots in a room, also when one of them is killed or stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fishjam_agents.server import EmbeddedServer

from ..journal.stores import redis_server
from .programs import Program, Watch, all_served, bots, in_log, occupied, running, until

CONFIG = """
agent: {backend: {type: parrot}}
rooms: every
limits: {empty_room: 1}
workers: {max_loop_lag: null, max_cpu: nullCLAIMS}
"""
"""Without limits of load: on a busy machine both would be over them, and leave the rooms to each other."""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


@pytest.fixture(params=["one machine", "two machines and Redis"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """The address of the claims' Redis; None for the file in the state folder of a machine."""
    if request.param == "one machine":
        yield None
        return
    with redis_server(tmp_path / "redis") as redis:
        yield redis.url


def play(
    folder: Path,
    scenario: Callable[[EmbeddedServer, Program, Program], Awaitable[None]],
    claims: str | None = None,
) -> None:
    async def run() -> None:
        config = folder / "config.yaml"
        config.write_text(CONFIG.replace("CLAIMS", "" if claims is None else f", claims: '{claims}'"))
        states = [folder / name for name in (("state", "state") if claims is None else ("first", "second"))]
        async with EmbeddedServer() as server, AsyncExitStack() as stack:
            programs = [await stack.enter_async_context(running(config, server, state)) for state in states]
            for program in programs:
                await program.says("Ctrl-C ends the calls.")
            await scenario(server, *programs)

    asyncio.run(run())


def test_no_room_ever_has_two_bots(tmp_path: Path) -> None:
    async def scenario(server: EmbeddedServer, first: Program, second: Program) -> None:
        watch = Watch(server)
        rooms = await occupied(server, 8)
        await until(lambda: all_served(rooms))
        # Both have looked at all of them by now.
        await asyncio.sleep(2.5)
        assert {watch.most[room.id] for room in rooms} == {1}
        assert {len(room.peers) for room in rooms} == {2}

    play(tmp_path, scenario)


def test_what_a_killed_program_served_is_taken_over_and_its_agents_are_deleted(
    tmp_path: Path, claims: str | None
) -> None:
    async def scenario(server: EmbeddedServer, first: Program, second: Program) -> None:
        watch = Watch(server)
        rooms = await occupied(server, 6)
        await until(lambda: all_served(rooms))
        before = {room.id: bots(room)[0] for room in rooms}
        await until(lambda: all(in_log(room) in first.logged + second.logged for room in rooms))
        kept = {room.id for room in rooms if in_log(room) in second.logged}
        first.signal(signal.SIGKILL)
        await first.exits()
        # Its lock is gone with it: the claims, which hold for ten seconds, are not waited for.
        await until(lambda: all_served(rooms) and all(len(room.peers) == 2 for room in rooms))
        assert {watch.most[room.id] for room in rooms} == {1}
        assert {room.id for room in rooms if bots(room) == [before[room.id]]} == kept

    play(tmp_path, scenario, claims)


def test_a_program_that_stood_still_finds_its_rooms_taken_and_lets_them_be(
    tmp_path: Path, claims: str | None
) -> None:
    async def scenario(server: EmbeddedServer, first: Program, second: Program) -> None:
        watch = Watch(server)
        rooms = await occupied(server, 6)
        await until(lambda: all_served(rooms))
        os.kill(first.process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(13)
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
        await until(lambda: all_served(rooms))
        await asyncio.sleep(3)
        assert {watch.most[room.id] for room in rooms} == {1}
        assert {len(room.peers) for room in rooms} == {2}

    play(tmp_path, scenario, claims)
