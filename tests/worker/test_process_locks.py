"""A process that is gone is seen by its lock, one that is stopped is not; and so its claims end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fishjam_agents.worker.claims import Claimed, HeldElsewhere
from fishjam_agents.worker.process_locks import FORGOTTEN, ProcessLocks
from fishjam_agents.worker.sqlite_claims import SqliteClaims

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")

SERVER = "http://fishjam"
LIFETIME = 1000.0
"""Seconds of a claim: no test waits for its end."""
HOLDER = """
import asyncio, sys
from pathlib import Path
from fishjam_agents.worker.sqlite_claims import SqliteClaims

async def main():
    claims = SqliteClaims(Path(sys.argv[1]), sys.argv[2], "holder", lifetime=float(sys.argv[3]))
    await claims.acquire("r")
    await claims.note_agent("r", "agent")
    print("held", flush=True)
    sys.stdin.readline()
    await claims.close()

asyncio.run(main())
"""


@contextmanager
def holder(path: Path, server: str = SERVER) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the claim of the room `r`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, server, str(LIFETIME)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def taken(path: Path, process: subprocess.Popen[str], number: int | None) -> list[tuple[str, str | None]]:
    """Claims that another process takes when this one is sent a signal; None ends it in order."""

    async def scenario() -> list[tuple[str, str | None]]:
        claims = SqliteClaims(path, SERVER, "survivor", lifetime=LIFETIME)
        try:
            assert await claims.take_expired() == []
            assert isinstance(await claims.acquire("r"), HeldElsewhere)
            if number is None:
                process.communicate("\n")
            else:
                os.kill(process.pid, number)
                if number == signal.SIGKILL:
                    process.wait()
            found = await claims.take_expired()
            assert await claims.take_expired() == []
            if found:
                assert await claims.acquire("r") == Claimed("agent")
            return list(found)
        finally:
            await claims.close()

    return asyncio.run(scenario())


def test_the_claims_of_a_killed_process_end_with_it(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"
    with holder(path) as process:
        assert taken(path, process, signal.SIGKILL) == [("r", "agent")]
    # Nothing is left of either.
    assert list((tmp_path / "claims.db.processes").iterdir()) == []


def test_a_process_that_is_stopped_keeps_its_claims(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"
    with holder(path) as process:
        assert taken(path, process, signal.SIGSTOP) == []


def test_one_that_ends_in_order_leaves_its_agent_to_others(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"
    with holder(path) as process:
        assert taken(path, process, None) == [("r", "agent")]


def test_who_serves_another_fishjam_does_not_bury_its_dead(tmp_path: Path) -> None:
    path = tmp_path / "claims.db"

    async def scenario() -> None:
        other = SqliteClaims(path, "http://other", "other", lifetime=LIFETIME)
        assert await other.take_expired() == []
        await other.close()
        claims = SqliteClaims(path, SERVER, "late", lifetime=LIFETIME)
        assert await claims.take_expired() == [("r", "agent")]
        await claims.close()

    with holder(path) as process:
        process.kill()
        process.wait()
        asyncio.run(scenario())


def test_claims_whose_end_cannot_be_noted_are_found_again(tmp_path: Path) -> None:
    dead, living = ProcessLocks(tmp_path, "g"), ProcessLocks(tmp_path, "g")
    (tmp_path / "g-gone").touch()
    living.hold("living")
    with pytest.raises(RuntimeError, match="gone"), dead.dead() as names:
        raise RuntimeError(*names)
    with dead.dead() as names:
        assert names == ("gone",)
    with dead.dead() as names:
        assert names == ()
    living.let_go()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_held_is_held_once(tmp_path: Path) -> None:
    first, second = ProcessLocks(tmp_path, "g"), ProcessLocks(tmp_path, "g")
    first.hold("name")
    second.hold("name")
    second.let_go()
    with second.dead() as names:
        assert names == ()
    first.let_go()


def test_files_of_others_whom_nobody_asks_about_are_deleted_in_the_end(tmp_path: Path) -> None:
    for name, age in (("other-old", FORGOTTEN + 60), ("other-new", 60.0)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    with ProcessLocks(tmp_path, "g").dead() as names:
        assert names == ()
    assert [path.name for path in tmp_path.iterdir()] == ["other-new"]
