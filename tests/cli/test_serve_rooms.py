"""`run` of a file about many rooms, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from fishjam_agents.audio.wav import write_wav
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.media.recorder import RECORDING_RATE

from .programs import ROOT, all_served, bots, in_log, occupied, running, until

READY = "The bots join their rooms when the first person does."

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


PARROT = "agent: {backend: {type: parrot}}\n"


def test_the_example_serves_every_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = ROOT / "examples" / "worker" / "config.yaml"
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            assert READY in program.said
            [made] = server.rooms
            assert f"  Room     {made.id} for parrot" in program.said
            await the_commands_of_its_page(re.findall(r"^  API      (\S+)$", program.said, re.MULTILINE)[0])
            asked = next(room for room in server.rooms if room is not made)
            assert bots(asked)
            slow, other = server.rooms.create(), server.rooms.create()
            for room in (made, slow, other):
                await server.add_caller(room.id, metadata={"bot": "slow"} if room is slow else None)
            await until(lambda: all(bots(room) for room in (made, slow, other)))
            program.signal(signal.SIGINT)
            assert await program.exits() == 0
            # What was made is deleted; people stay where they are.
            assert {room.id for room in server.rooms} == {slow.id, other.id}
            assert [len(room.peers) for room in (slow, other)] == [1, 1]
            assert in_log(slow) in program.logged

    asyncio.run(scenario())


async def the_commands_of_its_page(api: str) -> None:
    """Run the curl commands of the example's page, in their order."""
    page = (ROOT / "examples" / "worker" / "README.md").read_text()
    commands = re.findall(r"^    (curl .*)$", page, re.MULTILINE)
    assert len(commands) == 4
    async with httpx.AsyncClient(trust_env=False) as http:
        while (await http.get(f"{api}/readyz")).status_code != 200:  # noqa: ASYNC110 - as a probe does
            await asyncio.sleep(0.02)
        for command in commands:
            words = shlex.split(command)
            url = words[1].replace("http://127.0.0.1:8081", api)
            if "--json" in words:
                answer = await http.post(url, json=json.loads(words[-1]))
                call = f"{url}/{answer.json()['id']}"
                while (await http.get(call)).json()["status"] == "starting":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            else:
                answer = await http.get(url)
            assert answer.is_success, command


def test_what_is_about_one_room_is_refused(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from fishjam_agents.cli import main

    config = written(tmp_path, PARROT + "rooms: every\n")
    for option in ("--peer-token", "--open"):
        with pytest.raises(SystemExit) as caught:
            main(["run", str(config), option])
        assert caught.value.code == 2
        assert f"{option} is for a file about one room" in capfd.readouterr().err


def test_a_token_that_is_refused_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, "fishjam: {management_token: wrong}\n" + PARROT + "rooms: every\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            assert await program.exits() == 2
            assert "error: Fishjam rejected the management token" in program.logged

    asyncio.run(scenario())


def test_sigterm_lets_calls_end_and_takes_no_new_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT + "rooms: every\nworkers: {drain: 30}\nlimits: {empty_room: 0.1}\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            room, late = server.rooms.create(), server.rooms.create()
            ann = await server.add_caller(room.id)
            await until(lambda: bots(room))
            program.signal(signal.SIGTERM)
            await program.says("No new rooms are taken; calls have 30 s to end.")
            await server.add_caller(late.id)
            await asyncio.sleep(1.5)
            assert bots(room)
            assert not bots(late)
            ann.leave()
            assert await program.exits() == 0
            assert [len(room.peers), len(late.peers)] == [1, 1]

    asyncio.run(scenario())


def test_a_call_that_does_not_end_in_time_is_left_by_its_bot(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT + "rooms: every\nworkers: {drain: 0.2}\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            room = server.rooms.create()
            await server.add_caller(room.id)
            await until(lambda: bots(room))
            program.signal(signal.SIGTERM)
            assert await program.exits() == 0
            assert len(room.peers) == 1

    asyncio.run(scenario())


FAREWELL = "agent: {backend: {type: parrot}, farewell: bye.wav}\nrooms: every\nworkers: {drain: 0.2}\n"


@pytest.mark.parametrize("twice", [False, True])
def test_people_hear_a_farewell_unless_a_second_sigterm_comes(tmp_path: Path, twice: bool) -> None:
    async def scenario() -> None:
        config = written(tmp_path, FAREWELL)
        write_wav(tmp_path / "bye.wav", np.full(3 * 16000, 5000, np.int16), 16000)
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            room = server.rooms.create()
            ann = await server.add_caller(room.id)
            recorder = room.record(server.clock.position, [ann.id])
            await until(lambda: bots(room))
            await until(lambda: "is in the room" in program.logged)
            program.signal(signal.SIGTERM)
            if twice:
                await until(lambda: "reply_started" in program.logged or "bots leave" in program.logged)
                await asyncio.sleep(1.5)
                program.signal(signal.SIGTERM)
            assert await program.exits() == 0
            assert len(room.peers) == 1
            heard = recorder.stop(server.clock.position).heard(ann.id)
            seconds = np.count_nonzero(np.abs(heard) > 4000) / RECORDING_RATE
            assert 0 < seconds < 2.5 if twice else 2.8 < seconds < 3.1

    asyncio.run(scenario())


def test_a_second_sigterm_ends_it_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT + "rooms: every\nworkers: {drain: 1000}\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            room = server.rooms.create()
            await server.add_caller(room.id)
            await until(lambda: bots(room))
            program.signal(signal.SIGTERM)
            await program.says("No new rooms are taken")
            # Within half a second it is the same signal again.
            await asyncio.sleep(0.7)
            program.signal(signal.SIGTERM)
            await program.says("goodbye")
            assert await program.exits() == 0
            assert len(room.peers) == 1

    asyncio.run(scenario())


BOT = """
from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot

class Bot(AgentPipeline):
    backend = Parrot()

    async def on_start(self):
        print("the prompt is", self.instructions, "and the code", CODE, flush=True)

CODE = 1
"""


def test_a_changed_file_counts_for_new_calls_and_a_broken_one_for_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "agent: {pipeline: 'some_bot:Bot', instructions: PROMPT}\nrooms: every\n"
        (tmp_path / "some_bot.py").write_text(BOT)
        config = written(tmp_path, text.replace("PROMPT", "one"))
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            first, second, third = (server.rooms.create() for _ in range(3))
            await server.add_caller(first.id)
            await program.says("the prompt is one and the code 1")
            written(tmp_path, "agent: {backend: {type: no-such}}\nrooms: every\n")
            await until(lambda: "is not taken, the program goes on with what it has" in program.logged)
            assert "config.yaml:1: agent.backend.type: no backend of type 'no-such'" in program.logged
            await server.add_caller(second.id)
            await until(lambda: program.said.count("the prompt is one and the code 1") == 2)
            (tmp_path / "some_bot.py").write_text(BOT.replace("CODE = 1", "CODE = 22"))
            written(tmp_path, text.replace("PROMPT", "two"))
            program.signal(signal.SIGHUP)
            await until(lambda: "was read again" in program.logged)
            await server.add_caller(third.id)
            await program.says("the prompt is two and the code 22")
            assert all(bots(room) for room in (first, second, third))

    asyncio.run(scenario())


FAILING = """
from fishjam_agents import AgentPipeline
from fishjam_agents.backends import Parrot

class Bot(AgentPipeline):
    backend = Parrot()

    async def on_start(self):
        raise RuntimeError("a mistake of the user's")
"""


def test_what_goes_wrong_in_a_call_is_logged_with_its_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "failing_bot.py").write_text(FAILING)
        config = written(tmp_path, "agent: {pipeline: 'failing_bot:Bot'}\nrooms: every\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await program.says("Ctrl-C ends the calls.")
            rooms = [server.rooms.create() for _ in range(2)]
            for room in rooms:
                await server.add_caller(room.id)
            told = r"The hook on_start failed at \S*failing_bot\.py:9; the call goes on  \[.*(room \S+?)\]"
            await until(lambda: {in_log(room) for room in rooms} <= set(re.findall(told, program.logged)))

    asyncio.run(scenario())


def test_a_program_that_is_told_to_end_while_it_begins_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT + "rooms: {create: 30}\n")
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            await until(lambda: "made a room" in program.logged)
            program.signal(signal.SIGTERM)
            assert await program.exits() == 0
            assert not len(server.rooms)
            assert not list((tmp_path / "fishjam-agents").glob("*.json"))

    asyncio.run(scenario())


def test_claims_that_cannot_be_written_are_told_and_those_that_were_asked_for_are_needed(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        (tmp_path / "file").touch()
        async with EmbeddedServer() as server:
            config = written(tmp_path, PARROT + "rooms: every\n")
            async with running(config, server, tmp_path / "file") as program:
                await program.says("Ctrl-C ends the calls.")
                assert "other processes are not known to this one" in program.logged
                room = server.rooms.create()
                await server.add_caller(room.id)
                await until(lambda: bots(room))
            config = written(tmp_path, PARROT + "rooms: every\nworkers: {claims: file/claims.db}\n")
            async with running(config, server, tmp_path) as program:
                assert await program.exits() == 1
                assert "error: the claims in" in program.logged

    asyncio.run(scenario())


def test_several_processes_do_not_begin_with_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "file").touch()
        text = PARROT + "rooms: every\nworkers: 2\njournal: file/journal.db\n"
        config = written(tmp_path, text)
        async with EmbeddedServer() as server, running(config, server, tmp_path) as program:
            assert await program.exits() == 1
            assert program.logged.count("error: the journal in") == 1
            assert "Ctrl-C" not in program.said

    asyncio.run(scenario())


def test_run_reload_starts_the_bot_again_after_a_change_and_after_a_mistake(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT)
        async with EmbeddedServer() as server, running(config, server, tmp_path, "--reload") as program:
            await program.says("Ctrl-C ends the call.")
            [first] = server.rooms
            written(tmp_path, "agent: {backend: {type: no-such}}\n")
            await program.says("config.yaml or a module changed: starting again")
            await program.says("The bot has ended; it starts again when a file changes.")
            assert "no backend of type 'no-such'" in program.logged
            assert not len(server.rooms)
            written(tmp_path, PARROT + "log: {level: info}\n")
            await until(lambda: program.said.count("Ctrl-C ends the call.") == 2)
            [second] = server.rooms
            assert second.id != first.id
            program.signal(signal.SIGINT)
            assert await program.exits() == 0
            assert not len(server.rooms)

    asyncio.run(scenario())


@pytest.mark.parametrize("rooms", ["", "rooms: every\n"], ids=["one room", "many rooms"])
def test_the_bot_of_run_reload_does_not_outlive_it(tmp_path: Path, rooms: str) -> None:
    async def scenario() -> None:
        config = written(tmp_path, PARROT + rooms)
        async with EmbeddedServer() as server:
            served = await occupied(server, 1) if rooms else []
            async with running(config, server, tmp_path, "--reload") as program:
                await program.says("Ctrl-C ends the call")
                await until(lambda: len(server.rooms) and all_served(served))
                program.signal(signal.SIGKILL)
                # Only when nobody can write to its output any more.
                assert await program.exits() == -signal.SIGKILL
                assert "goodbye" in program.said
                assert not any(map(bots, served)) if rooms else not len(server.rooms)

    asyncio.run(scenario())
