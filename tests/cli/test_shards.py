"""`workers.shard`: programs that share no file share the rooms, and take over from one that is gone."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.worker.rendezvous import rank_of

from .programs import Program, Watch, all_served, bots, in_log, occupied, running, until

CONFIG = """
agent: {backend: {type: parrot}}
rooms: every
workers: {shard: {index: "${HOSTNAME}", count: 3, takeover: 4}, max_loop_lag: null, max_cpu: null}
limits: {empty_room: 60}
api: {port: 0}
"""
NAMES = ("0", "1", "2")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


async def start(stack: AsyncExitStack, server: EmbeddedServer, folder: Path, index: int) -> Program:
    """Start a shard, as a pod of its own: with a name and a disk that no other one has."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    program = await stack.enter_async_context(
        running(config, server, folder / f"disk-{index}", environ={"HOSTNAME": f"bots-{index}"})
    )
    await program.says("Ctrl-C ends the calls.")
    url = re.findall(r"^  API      (\S+)$", program.said, re.MULTILINE)[0]
    async with httpx.AsyncClient(trust_env=False) as http:
        # From its first look on it knows who came when.
        while (await http.get(f"{url}/readyz")).status_code != 200:  # noqa: ASYNC110 - as Kubernetes does
            await asyncio.sleep(0.05)
    return program


def server_of(programs: dict[int, Program], room: Room) -> set[int]:
    """The shards that have served a room."""
    return {index for index, program in programs.items() if in_log(room) in program.logged}


def ranked(room: Room) -> list[int]:
    """The shards in the order in which they may serve a room."""
    return sorted(range(3), key=lambda index: rank_of(str(index), room.id, NAMES))


def test_each_shard_serves_its_own_rooms_and_those_of_one_that_is_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncExitStack() as stack:
            programs = {index: await start(stack, server, tmp_path, index) for index in range(3)}
            watch = Watch(server)
            rooms = await occupied(server, 12)
            await until(lambda: all(server_of(programs, room) for room in rooms))
            assert {room.id: server_of(programs, room) for room in rooms} == {
                room.id: {ranked(room)[0]} for room in rooms
            }
            # All have looked at all of them by now.
            await asyncio.sleep(2.5)
            before = {room.id: bots(room) for room in rooms}
            gone = ranked(rooms[0])[0]
            programs[gone].signal(signal.SIGKILL)
            await programs[gone].exits()
            # Its agents are deleted by those that take its rooms over: nothing of it comes back.
            await until(lambda: all_served(rooms) and all(len(room.peers) == 2 for room in rooms))
            for room in rooms:
                mine = ranked(room)[0] == gone
                assert (bots(room) != before[room.id]) is mine
                assert server_of(programs, room) - {gone} <= {*ranked(room)[mine:]}
            # Whose rooms they are makes no difference to calls that go on.
            held = {room.id: bots(room) for room in rooms}
            programs[gone] = await start(stack, server, tmp_path, gone)
            later = await occupied(server, 12)
            await until(lambda: all(server_of(programs, room) for room in later))
            assert all(server_of(programs, room) == {ranked(room)[0]} for room in later)
            assert {room.id: bots(room) for room in rooms} == held
            assert {watch.most[room.id] for room in [*rooms, *later]} == {1}

    asyncio.run(scenario())


def test_rooms_of_a_shard_that_is_away_are_served_by_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncExitStack() as stack:
            programs = {index: await start(stack, server, tmp_path, index) for index in (0, 2)}
            watch = Watch(server)
            rooms = await occupied(server, 9)
            await until(lambda: all(server_of(programs, room) for room in rooms))
            assert all_served(rooms)
            for room in rooms:
                own = ranked(room)[0]
                assert server_of(programs, room) <= ({own} if own != 1 else {0, 2})
            assert {watch.most[room.id] for room in rooms} == {1}

    asyncio.run(scenario())
