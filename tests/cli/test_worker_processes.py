"""`workers: N`: several processes of one program share the rooms, and take over from one that dies."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator

from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker.rendezvous import assigned_to

from .programs import Program, Watch, all_served, bots, occupied, running, until

CONFIG = """
agent: {backend: {type: parrot}}
rooms: RULES
workers: {WORKERS, drain: 20}
limits: {empty_room: 60}
api: {port: 0, webhook_secret: of Fishjam}
"""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


class Served:
    """A program with three processes, and its API."""

    def __init__(self, server: EmbeddedServer, program: Program, http: httpx.AsyncClient) -> None:
        self.server = server
        self.program = program
        self.http = http
        self.watch = Watch(server)

    async def calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = (await self.http.get("/calls")).json()["calls"]
        return calls

    async def process_of(self, rooms: set[str]) -> dict[str, str]:
        """The process of each room, once all of them are known to run."""
        while True:
            found = {
                call["room"]: call["process"] for call in await self.calls() if call["status"] == "running"
            }
            if rooms <= found.keys():
                return {room: found[room] for room in rooms}
            await asyncio.sleep(0.05)

    def pid(self, member: str) -> int:
        return int(re.findall(rf"the process {member} has the id (\d+)", self.program.logged)[-1])


@asynccontextmanager
async def served(folder: Path, rules: str, workers: str, text: str = CONFIG) -> AsyncIterator[Served]:
    config = folder / "config.yaml"
    config.write_text(text.replace("RULES", rules).replace("WORKERS", workers))
    async with EmbeddedServer() as server, running(config, server, folder / "state") as program:
        await program.says("Ctrl-C ends the calls.")
        url = re.findall(r"^  API      (\S+)$", program.said, re.MULTILINE)[0]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            # Every process is ready, not only one.
            ready = re.compile(r"^fishjam_agents_ready\{.*\} 1$", re.MULTILINE)
            while len(ready.findall((await http.get("/metrics")).text)) < 3:  # noqa: ASYNC110 - as a scraper does
                await asyncio.sleep(0.1)
            yield Served(server, program, http)


def play(
    folder: Path,
    scenario: Callable[[Served], Awaitable[None]],
    rules: str = "every",
    workers: str = "processes: 3",
) -> None:
    async def run() -> None:
        async with served(folder, rules, workers) as found:
            await scenario(found)

    asyncio.run(run())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_rooms_of_a_killed_process_are_taken_over(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        rooms = await occupied(found.server, 9)
        await until(lambda: all_served(rooms))
        ids = {room.id for room in rooms}
        before = await found.process_of(ids)
        assert len(set(before.values())) >= 2
        victim = before[rooms[0].id]
        lost = [room for room in rooms if before[room.id] == victim]
        agents = {room.id: list(room.peers) for room in rooms}
        os.kill(found.pid(victim), signal.SIGKILL)
        await until(lambda: all(room.peers.keys() - set(agents[room.id]) for room in lost))
        await until(lambda: all_served(rooms))
        # The others' calls were left alone, and nobody was doubled.
        assert all(list(room.peers) == agents[room.id] for room in rooms if room not in lost)
        assert {found.watch.most[room.id] for room in rooms} == {1}
        assert {len(room.peers) for room in rooms} == {2}
        # It is replaced, and new rooms are shared with it again.
        await until(lambda: found.program.logged.count(f"the process {victim} has the id") == 2)
        assert f"the process {victim} ended (signal 9)" in found.program.logged

    play(tmp_path, scenario)


def test_a_call_of_the_api_goes_on_in_another_process(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        answer = await found.http.post("/calls", json={"variables": {"a": 1}})
        assert answer.status_code == 201
        id, room_id = answer.json()["id"], answer.json()["room"]
        killed = found.pid((await found.process_of({room_id}))[room_id])
        os.kill(killed, signal.SIGKILL)
        while True:
            record = (await found.http.get(f"/calls/{id}")).json()
            # The one that is started in its place has its name, and may be the first that can.
            if record["status"] == "running" and found.pid(record["process"]) != killed:
                break
            await asyncio.sleep(0.05)
        assert record["room"] == room_id
        assert found.watch.most[room_id] == 1
        assert (await found.http.delete(f"/calls/{id}")).status_code == 204
        # The room was made for the call, and goes with it.
        await until(lambda: not len(found.server.rooms))
        while (await found.http.get(f"/calls/{id}")).json()["status"] != "ended":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    play(tmp_path, scenario, "{id: none}")


def test_a_call_that_is_deleted_while_its_process_is_gone_ends(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        made = (await found.http.post("/calls", json={})).json()
        victim = (await found.process_of({made["room"]}))[made["room"]]
        os.kill(found.pid(victim), signal.SIGKILL)
        await until(lambda: f"the process {victim} ended (signal 9)" in found.program.logged)
        assert (await found.http.delete(f"/calls/{made['id']}")).status_code == 204
        await until(lambda: not len(found.server.rooms))
        while (await found.http.get(f"/calls/{made['id']}")).json()["status"] != "ended":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    play(tmp_path, scenario, "{id: none}")


def test_what_a_process_refuses_is_answered(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        for body, status in (({"bot": "none"}, 400), ({"room": "none"}, 404), ({"voice": "x"}, 400)):
            assert (await found.http.post("/calls", json=body)).status_code == status

    play(tmp_path, scenario, "{id: none}")


def test_a_call_goes_to_another_process_where_one_has_no_place_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with RealtimeEmulator() as vendor:
            backend = f"{{type: openai_realtime, model: m, base_url: '{vendor.base_url}', api_key: k, "
            agent = f"agent: {{backend: {backend}limits: {{calls: 1}}}}}}"
            text = CONFIG.replace("agent: {backend: {type: parrot}}", agent)
            async with served(tmp_path, "{id: none}", "processes: 3", text) as found:
                members = re.findall(r"the process (\S+) has the id", found.program.logged)
                assert len(members) == 3
                rooms = []
                while len(rooms) < 4:
                    room = found.server.rooms.create()
                    if assigned_to(room.id, members) == members[0]:
                        rooms.append(room)
                answers = await asyncio.gather(
                    *(found.http.post("/calls", json={"room": room.id}) for room in rooms)
                )
                assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 503]
                begun = [answer.json() for answer in answers if answer.status_code == 201]
                assert {call["process"] for call in begun} == set(members)
                (refused,) = (answer for answer in answers if answer.status_code == 503)
                assert "its limits.calls is 1" in refused.json()["error"]
                await until(lambda: len(vendor.open) == 3)

    asyncio.run(scenario())


def test_sigterm_drains_all_of_them(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        rooms = await occupied(found.server, 4)
        await until(lambda: all_served(rooms))
        found.program.signal(signal.SIGTERM)
        await found.program.says("No new rooms are taken")
        await asyncio.sleep(1)
        assert (await found.http.get("/readyz")).status_code == 503
        assert all_served(rooms)
        found.program.signal(signal.SIGTERM)
        assert await found.program.exits() == 0
        assert {len(room.peers) for room in rooms} == {1}

    play(tmp_path, scenario)


def test_processes_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        rooms = await occupied(found.server, 4)
        await until(lambda: all_served(rooms))
        pids = [found.pid(f"w{index}") for index in range(3)]
        found.program.signal(signal.SIGKILL)
        await until(lambda: not any(is_alive(pid) for pid in pids))
        assert {len(room.peers) for room in rooms} == {1}

    play(tmp_path, scenario)


def test_rooms_of_a_process_that_stands_still_are_taken_over(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        rooms = await occupied(found.server, 6)
        await until(lambda: all_served(rooms))
        before = await found.process_of({room.id for room in rooms})
        victim = before[rooms[0].id]
        lost = [room for room in rooms if before[room.id] == victim]
        agents = {room.id: bots(room) for room in lost}
        os.kill(found.pid(victim), signal.SIGSTOP)
        try:
            await until(lambda: all(bots(room) and bots(room) != agents[room.id] for room in lost))
        finally:
            os.kill(found.pid(victim), signal.SIGCONT)
        # It finds its claims gone, and shares new rooms again.
        await asyncio.sleep(4)
        assert {found.watch.most[room.id] for room in rooms} == {1}
        assert {len(room.peers) for room in rooms} == {2}
        assert "is quiet: it gets no more rooms" in found.program.logged
        assert f"the process {victim} ended" not in found.program.logged

    play(tmp_path, scenario)


def test_a_process_over_its_limit_leaves_rooms_to_the_others(tmp_path: Path) -> None:
    async def scenario(found: Served) -> None:
        members = ["w0", "w1", "w2"]
        rooms = []
        while len(rooms) < 3:
            room = found.server.rooms.create()
            if assigned_to(room.id, members) == "w1":
                rooms.append(room)
        for room in rooms:
            await found.server.add_caller(room.id)
        await until(lambda: all_served(rooms))
        processes = await found.process_of({room.id for room in rooms})
        assert sorted(processes.values()) == members
        while (ready := await found.http.get("/readyz")).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert "w0: it has 1 calls, and workers.max_calls is 1" in ready.text

    play(tmp_path, scenario, workers="processes: 3, max_calls: 1")


def test_every_process_is_told_what_webhooks_tell(tmp_path: Path) -> None:
    def looks(text: str) -> dict[str, float]:
        found = re.findall(r'^fishjam_agents_looks_total\{process="(\w+)"\} (\S+)$', text, re.MULTILINE)
        return {process: float(count) for process, count in found}

    async def scenario(found: Served) -> None:
        body = bytes(n.ServerMessage(peer_connected=n.ServerMessagePeerConnected("no-room", "ann")))
        digest = hmac.new(b"of Fishjam", body, hashlib.sha256).hexdigest()
        before = looks((await found.http.get("/metrics")).text)
        answer = await found.http.post(
            "/webhooks/fishjam", content=body, headers={"x-fishjam-signature-256": digest}
        )
        assert answer.status_code == 204
        # Long before they list all rooms again.
        async with asyncio.timeout(15):
            while True:
                after = looks((await found.http.get("/metrics")).text)
                if len(after) == 3 and all(after[process] > before[process] for process in before):
                    return
                await asyncio.sleep(0.1)

    play(tmp_path, scenario)
