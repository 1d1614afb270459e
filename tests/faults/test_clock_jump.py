"""The clock of the machine is set in the middle of calls, for the bots and for their Fishjam."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.worker.rendezvous import assigned_to
from tests.cli.programs import running, until

from .restarts import fishjam_process, has_answered, has_one_bot

CONFIG = """
agent: {backend: {type: parrot, text: And so I go on.}}
rooms: every
workers: {processes: 2, max_loop_lag: null, max_cpu: null, drain: 0}
limits: {empty_room: 60}
journal: {path: journal.db, keep: 86400}
"""
HOUR = 3600
JUMPS = (HOUR, -HOUR, 10 * 365 * 24 * HOUR)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shifts the clock by LD_PRELOAD"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "clock_shim.so"
    source = Path(__file__).with_name("clock_shim.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def test_the_shim_shifts_a_clock(shim: Path, tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    shift.write_text(str(HOUR))
    code = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_PRELOAD": str(shim), "CLOCK_SHIFT": str(shift)},
        capture_output=True,
        text=True,
        check=True,
    )
    wall, date, monotonic = map(float, shown.stdout.split())
    assert wall == pytest.approx(time.time() + HOUR, abs=60)
    assert date == pytest.approx(time.time() + HOUR, abs=60)
    assert monotonic == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.parametrize("whose", ["bots", "fishjam"])
def test_calls_go_on(shim: Path, tmp_path: Path, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the claims of rooms, nor journals, nor tokens, nor any timer takes notice."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    shift = tmp_path / "shift"
    shift.write_text("0")
    shifted = {"LD_PRELOAD": str(shim), "CLOCK_SHIFT": str(shift)}
    if whose == "fishjam":
        for name, value in shifted.items():
            monkeypatch.setenv(name, value)

    async def scenario() -> None:
        async with fishjam_process() as server:
            if whose == "fishjam":
                for name in shifted:
                    monkeypatch.delenv(name)
            environ = shifted if whose == "bots" else None
            async with running(config, server, tmp_path / "state", environ=environ) as program:
                await program.says("Ctrl-C ends the calls.")
                await until(lambda: len(re.findall(r"process w\d has the id", program.logged)) == 2)
                occupied = await server.occupy([None] * 4)
                await server.until(has_one_bot)
                for jump in JUMPS:
                    shift.write_text(str(int(shift.read_text()) + jump))
                    # Longer than a claim holds without being renewed, and a look at the rooms takes.
                    await asyncio.sleep(11 if jump == JUMPS[-1] else 3)
                    await server.ask()
                    rooms = await server.until(has_answered)
                    assert all(room["bots"] == room["most"] == 1 for room in rooms.values())
                for trouble in ("failed", "lost", "taken over", "is quiet", "Traceback", "is over"):
                    assert trouble not in program.logged
                # A process with calls dies after all that: they go on in the other one.
                victim = assigned_to(occupied[0], ("w0", "w1"))
                pid = int(re.findall(rf"the process {victim} has the id (\d+)", program.logged)[-1])
                os.kill(pid, signal.SIGKILL)
                await until(lambda: f"the process {victim} ended (signal 9)" in program.logged)
                await server.ask()
                rooms = await server.until(has_answered)
                assert all(room["most"] == 1 for room in rooms.values())
                program.signal(signal.SIGINT)
                assert await program.exits() == 0
        store = SqliteJournals(tmp_path / "journal.db")
        calls = await store.calls()
        await store.close()
        # None was deleted for its age, and none begun anew: one for each room, some of two processes.
        assert len(calls) == 4
        assert max(call.epochs for call in calls) == 2

    asyncio.run(scenario())
