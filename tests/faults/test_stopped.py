"""A process stands still for ten seconds, as in a machine that swaps or is moved: SIGSTOP, then SIGCONT."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.programs import Program, running, until

from .restarts import FishjamProcess, fishjam_process, has_answered, has_one_bot

STOPPED = 10.0
CONFIG = """
agent: {backend: {type: parrot}}
rooms: every
workers: {processes: PROCESSES, max_loop_lag: null, max_cpu: null, drain: 0}
limits: {empty_room: 60}
"""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(240),
]


@asynccontextmanager
async def calls(folder: Path, processes: int) -> AsyncIterator[tuple[FishjamProcess, Program]]:
    """Six rooms whose bots have answered; at the end each has one, and none had two."""
    config = folder / "config.yaml"
    config.write_text(CONFIG.replace("PROCESSES", str(processes)))
    async with fishjam_process() as server, running(config, server, folder / "state") as program:
        await program.says("Ctrl-C ends the calls.")
        if processes > 1:
            await until(
                lambda: len(set(re.findall(r"process (w\d) has the id", program.logged))) == processes
            )
        await server.occupy([None] * 6)
        await server.until(has_one_bot)
        await server.ask()
        await server.until(has_answered)
        # Until the answers are over.
        await asyncio.sleep(2)
        yield server, program
        rooms = await server.until(has_one_bot)
        assert all(room["most"] == 1 for room in rooms.values())
        assert "Traceback" not in program.logged
        program.signal(signal.SIGINT)
        assert await program.exits() == 0


async def stand_still(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(STOPPED)
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def answered(server: FishjamProcess) -> None:
    await server.ask()
    await server.until(has_answered)


def test_the_bots_stand_still(tmp_path: Path) -> None:
    """Words said meanwhile are heard late or not at all, never twice; no burst of answers comes."""

    async def scenario() -> None:
        async with calls(tmp_path, 1) as (server, program):
            before = await server.spoken()
            await asyncio.gather(stand_still(program.process.pid), server.ask())
            await server.until(has_one_bot)
            # One answer of each bot to the one thing that was said, and that as long as it was said.
            await asyncio.sleep(4)
            after = await server.spoken()
            for room, seconds in after.items():
                assert seconds - before[room] < 1.6 * before[room]
            # What was due meanwhile is not made up for: the process has as little to do as before.
            used = cpu(program.process.pid)
            await asyncio.sleep(2)
            assert cpu(program.process.pid) - used < 1.5
            await answered(server)
            assert "failed" not in program.logged

    asyncio.run(scenario())


def test_one_of_three_worker_processes_stands_still(tmp_path: Path) -> None:
    """Its rooms are taken over, or are not: at no time has one of them two bots."""

    async def scenario() -> None:
        async with calls(tmp_path, 3) as (server, program):
            pids = dict(re.findall(r"the process (w\d) has the id (\d+)", program.logged))
            await stand_still(int(pids["w0"]))
            # By now it has looked at its claims.
            await asyncio.sleep(3)
            await server.until(has_one_bot)
            await answered(server)
            # It was not killed for it, and gets rooms again.
            assert "the process w0 ended" not in program.logged

    asyncio.run(scenario())


@pytest.mark.parametrize("processes", [1, 3])
def test_the_fishjam_stands_still(tmp_path: Path, processes: int) -> None:
    async def scenario() -> None:
        async with calls(tmp_path, processes) as (server, program):
            await stand_still(server.child.pid)
            await server.until(has_one_bot)
            await answered(server)
            assert "is not started again" not in program.logged

    asyncio.run(scenario())


def test_the_vendor_stands_still(tmp_path: Path) -> None:
    """People get an answer again once it goes on, to what they say then at the latest."""

    async def scenario() -> None:
        async with vendor() as (environ, pid), fishjam_process() as server:
            config = tmp_path / "config.yaml"
            text = CONFIG.replace("{type: parrot}", "{type: gemini}").replace("PROCESSES", "1")
            config.write_text(text)
            async with running(config, server, tmp_path / "state", environ=environ) as program:
                await program.says("Ctrl-C ends the calls.")
                await server.occupy([None] * 3)
                await server.until(has_one_bot)
                await answered(server)
                await asyncio.gather(stand_still(pid), server.ask())
                await server.until(has_one_bot)
                await answered(server)
                assert "Traceback" not in program.logged
                assert "is not started again" not in program.logged
                program.signal(signal.SIGINT)
                assert await program.exits() == 0

    asyncio.run(scenario())


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[dict[str, str], int]]:
    """An emulated Gemini in a process of its own: its variables, and its process id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents_gemini.emulator", "--no-tools"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        environ = {}
        while len(environ) < 4:
            line = (await process.stdout.readline()).decode()
            assert line, "the emulator ended"
            name, value = shlex.split(line)[1].split("=", 1)
            environ[name] = value
        yield environ, process.pid
    finally:
        process.kill()
        await process.wait()
