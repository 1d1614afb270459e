"""The Fishjam is killed under many calls, and started again: everybody gets a bot again, and one only."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fishjam_agents.testing.fault_proxy import FaultProxy
from fishjam_agents.testing.faults import Refuse, Reset
from tests.cli.programs import Program, running, until

from .restarts import FishjamProcess, fishjam_process, has_answered, has_one_bot

CONFIG = """
agent: {backend: {type: parrot}}
rooms: RULES
workers: {processes: PROCESSES, max_loop_lag: null, max_cpu: null, drain: 0}
limits: {empty_room: 60}
api: {port: 0}
"""
CALLS = 50

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc"),
    pytest.mark.timeout(240),
]

Scenario = Callable[[FishjamProcess, Program, httpx.AsyncClient], Awaitable[None]]


@dataclass(frozen=True)
class Way:
    """Address by which the program finds the server."""

    url: str
    token: str


def play(folder: Path, scenario: Scenario, rules: str = "every", processes: int = 1) -> None:
    config = folder / "config.yaml"
    config.write_text(CONFIG.replace("RULES", rules).replace("PROCESSES", str(processes)))

    async def run() -> None:
        async with fishjam_process() as server, running(config, server, folder / "state") as program:
            await program.says("Ctrl-C ends the calls.")
            api = re.findall(r"^  API      (\S+)$", program.said, re.MULTILINE)[0]
            async with httpx.AsyncClient(base_url=api, trust_env=False) as http:
                while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as a balancer does
                    await asyncio.sleep(0.05)
                await scenario(server, program, http)
            program.signal(signal.SIGINT)
            assert await program.exits() == 0
            assert "Traceback" not in program.logged

    asyncio.run(run())


def holds(pid: int) -> tuple[int, int]:
    """Threads and descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


async def served(server: FishjamProcess) -> None:
    """Every room has a bot, which answers, and never had two."""
    await server.until(has_one_bot)
    await server.ask()
    rooms = await server.until(has_answered)
    assert {room["most"] for room in rooms.values()} == {1}


def test_rooms_that_the_application_makes_again(tmp_path: Path) -> None:
    async def scenario(server: FishjamProcess, program: Program, http: httpx.AsyncClient) -> None:
        rooms = await server.occupy([None] * CALLS)
        await served(server)
        before = holds(program.process.pid)
        await server.child.kill()
        await server.start()
        assert sorted(await server.occupy(rooms)) == sorted(rooms)
        await served(server)
        # Sockets of calls that are over are gone: what is left are spare connections of the REST client.
        threads, descriptors = holds(program.process.pid)
        assert threads <= before[0]
        assert descriptors <= before[1] + 10
        metrics = (await http.get("/metrics")).text
        assert re.search(rf"^fishjam_agents_calls\b.* {CALLS}$", metrics, re.MULTILINE)

    play(tmp_path, scenario)


def test_rooms_that_the_fishjam_kept(tmp_path: Path) -> None:
    """It could not be reached for a while: the bots are the same, and no call has failed."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.replace("RULES", "every").replace("PROCESSES", "1"))

    async def scenario() -> None:
        async with fishjam_process() as server, FaultProxy(server.url) as proxy:
            way = Way(proxy.url, server.token)
            async with running(config, way, tmp_path / "state") as program:
                await program.says("Ctrl-C ends the calls.")
                await server.occupy([None] * 10)
                await served(server)
                before = {id: room["ids"] for id, room in (await server.until(has_one_bot)).items()}
                with proxy.inject(Refuse()):
                    proxy.inject(Reset())
                    # Longer than the first pauses of those who try to come back.
                    await asyncio.sleep(4)
                await served(server)
                after = {id: room["ids"] for id, room in (await server.until(has_one_bot)).items()}
                assert after == before
                assert "failed and starts again" not in program.logged
                assert program.logged.count("agent_socket was lost for") == 10
                program.signal(signal.SIGINT)
                assert await program.exits() == 0

    asyncio.run(scenario())


def test_rooms_that_come_back_under_other_ids(tmp_path: Path) -> None:
    async def scenario(server: FishjamProcess, program: Program, http: httpx.AsyncClient) -> None:
        old = await server.occupy([None] * 5)
        await served(server)
        await server.child.kill()
        await server.start()
        new = await server.occupy([None] * 5)
        await served(server)
        calls = (await http.get("/calls")).json()["calls"]
        ended = {call["room"]: call["reason"] for call in calls if call["status"] == "ended"}
        assert ended == dict.fromkeys(old, "its room is gone")
        assert {call["room"] for call in calls if call["status"] == "running"} == set(new)

    play(tmp_path, scenario)


@pytest.mark.parametrize("processes", [1, 2])
def test_rooms_that_the_program_makes(tmp_path: Path, processes: int) -> None:
    async def scenario(server: FishjamProcess, program: Program, http: httpx.AsyncClient) -> None:
        old = await server.rooms()
        assert len(old) == 3
        await server.occupy(old)
        await served(server)
        await server.child.kill()
        await server.start()
        while len(new := await server.rooms()) < 3:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.05)
        assert set(new).isdisjoint(old)
        await server.occupy(new)
        await served(server)
        for room in old:
            assert f"the room {room} is gone: another one takes its place" in program.logged
        assert len(await server.rooms()) == 3

    play(tmp_path, scenario, rules="[{create: 3}]", processes=processes)


def test_a_call_of_the_api_whose_room_is_gone_is_over(tmp_path: Path) -> None:
    async def scenario(server: FishjamProcess, program: Program, http: httpx.AsyncClient) -> None:
        (kept,) = await server.occupy([None])
        made = (await http.post("/calls", json={})).json()
        given = (await http.post("/calls", json={"room": kept})).json()

        async def status(call: dict[str, str]) -> tuple[str, str | None]:
            found = (await http.get(f"/calls/{call['id']}")).json()
            return found["status"], found["reason"]

        for call in (made, given):
            while (await status(call))[0] != "running":  # noqa: ASYNC110 - as an application does
                await asyncio.sleep(0.05)
        await server.child.kill()
        await server.start()
        await server.occupy([kept])
        await served(server)
        while (await status(made))[0] != "ended":  # noqa: ASYNC110 - as an application does
            await asyncio.sleep(0.05)
        assert (await status(made)) == ("ended", "its room is gone")
        # The application made this one again: the call goes on, with its id.
        assert (await status(given))[0] == "running"
        assert (await http.post("/calls", json={})).status_code == 201

    play(tmp_path, scenario, rules="[{id: nowhere}]")


def test_one_bot_in_one_room_says_why_it_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fishjam_process() as server:
            (room,) = await server.occupy([None])
            config = tmp_path / "config.yaml"
            config.write_text(f"agent: {{backend: {{type: parrot}}}}\nroom: {{id: {room}}}\n")
            async with running(config, server, tmp_path / "state") as program:
                await server.until(has_one_bot)
                await until(lambda: "Ctrl-C" in program.said)
                await server.child.kill()
                await server.start()
                assert await program.exits() == 1
                assert "refused the agent's token" in program.logged
                assert "Traceback" not in program.logged

    asyncio.run(scenario())
