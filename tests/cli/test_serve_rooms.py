"""`run` of a file about many rooms, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType

ROOT = Path(__file__).parents[2]
READY = "The bots join their rooms when the first person does."

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


class Program:
    """A running `run`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.logged = ""
        self._readers = [asyncio.create_task(self._read_out()), asyncio.create_task(self._read_log())]

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said += line.decode()

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.logged += line.decode()

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def says(self, text: str) -> None:
        await until(lambda: text in self.said or self.process.returncode is not None)
        assert text in self.said, self.logged

    async def exits(self) -> int:
        code = await self.process.wait()
        await asyncio.gather(*self._readers)
        return code


@asynccontextmanager
async def running(config: Path, server: EmbeddedServer, state: Path) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "run", str(config)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "FISHJAM_ID": server.url,
            "FISHJAM_MANAGEMENT_TOKEN": server.token,
            "XDG_STATE_HOME": str(state),
        },
    )
    program = Program(process)
    try:
        async with asyncio.timeout(40):
            yield program
    finally:
        if process.returncode is None:
            process.kill()
        await program.exits()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.02)


def bots(room: Room) -> list[str]:
    """The agents that are connected."""
    return [peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected]


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
            slow, other = server.rooms.create(), server.rooms.create()
            for room in (made, slow, other):
                await server.add_caller(room.id, metadata={"bot": "slow"} if room is slow else None)
            await until(lambda: all(bots(room) for room in (made, slow, other)))
            program.signal(signal.SIGINT)
            assert await program.exits() == 0
            # What was made is deleted; people stay where they are.
            assert {room.id for room in server.rooms} == {slow.id, other.id}
            assert [len(room.peers) for room in (slow, other)] == [1, 1]
            assert f"room {slow.id}" in program.logged

    asyncio.run(scenario())


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
