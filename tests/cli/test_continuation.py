"""A process is killed in the middle of a conversation, and another one goes on with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.callers import Caller
from fishjam_agents.server.room import Room

from ..journal.stores import redis_server
from .programs import ROOT, Program, Watch, bots, running, until
from .told_bot import BOT

CONFIG = """
agent: {pipeline: 'told_bot:Bot'}
rooms: every
workers: {processes: 2, max_loop_lag: null, max_cpu: null}
limits: {empty_room: 60}
"""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


@dataclass
class Told:
    """A conversation, and what the bots have done in it."""

    server: EmbeddedServer
    program: Program
    room: Room
    caller: Caller
    watch: Watch
    folder: Path

    def what(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        file = self.folder / "what.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for line in lines if (event := json.loads(line))["kind"] == kind][after:]

    def speak(self) -> None:
        self.caller.say(read_wav(ROOT / "audio_fixtures" / "alice_yes.wav"))

    def kill(self) -> None:
        """Kill the process whose bot is in the room."""
        pid = self.what("joined")[-1]["pid"]
        os.kill(pid, signal.SIGKILL)

    async def back(self) -> float:
        """Seconds until a bot of another process is in the room and has seen the caller."""
        begun = time.perf_counter()
        await until(lambda: len(self.what("joined")) == 2)
        seconds = time.perf_counter() - begun
        first, second = self.what("joined")
        assert first["pid"] != second["pid"]
        assert (first["continued"], second["continued"]) == (False, True)
        print(f"rejoined after {seconds:.2f} s")
        return seconds


@asynccontextmanager
async def told(
    folder: Path,
    *,
    reply: str = "Yes.",
    tool: str = "",
    takes: float = 30.0,
    journal: str = "journal.db",
) -> AsyncIterator[Told]:
    (folder / "told_bot.py").write_text(BOT)
    (folder / "script.json").write_text(json.dumps({"reply": reply, "tool": tool, "takes": takes}))
    config = folder / "config.yaml"
    config.write_text(f"{CONFIG}journal: {journal}\n")
    async with EmbeddedServer() as server, running(config, server, folder / "state") as program:
        await program.says("Ctrl-C ends the calls.")
        await until(lambda: len(re.findall(r"the process w\d has the id", program.logged)) == 2)
        watch = Watch(server)
        room = server.rooms.create()
        caller = await server.add_caller(room.id)
        found = Told(server, program, room, caller, watch, folder)
        await until(lambda: found.what("joined"))
        await until(lambda: bots(room))
        yield found
        assert watch.most[room.id] == 1


LONG = "One one one one. Two two two two. Three three three three. Four four four four."


@pytest.fixture(params=["a file", "Redis"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "a file":
        yield "journal.db"
        return
    with redis_server(tmp_path / "redis") as redis:
        yield redis.url


def test_killed_in_the_middle_of_a_reply(tmp_path: Path, journal: str) -> None:
    async def scenario() -> None:
        async with told(tmp_path, reply=LONG, journal=journal) as call:
            call.speak()
            await until(lambda: call.what("spoken"))
            # The first sentence, and some of the second.
            await asyncio.sleep(1.6)
            call.kill()
            begun = time.perf_counter()
            await call.back()
            await until(lambda: len(call.what("asked")) == 2)
            print(f"went on after {time.perf_counter() - begun:.2f} s")
            messages = call.what("asked")[1]["messages"]
            assert messages[0] == ["user", "What is there to tell?"]
            role, heard = messages[1]
            assert role == "assistant"
            heard = heard.removesuffix(" [interrupted]")
            assert heard
            assert LONG.startswith(heard)
            assert len(heard) < len(LONG) - 20
            gap = messages[2][1]
            assert gap.startswith("[The line was lost for ")
            assert f'heard was "{heard}", not heard was "{LONG[len(heard) :].strip()}"' in gap
            assert len(messages) == 3
            await until(lambda: call.what("spoken")[-1]["text"] == "And so I go on.")

    asyncio.run(scenario())


def test_killed_in_a_tool(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with told(tmp_path, tool="book") as call:
            call.speak()
            await until(lambda: call.what("booked"))
            call.kill()
            await call.back()
            await until(lambda: len(call.what("asked")) == 2)
            messages = call.what("asked")[1]["messages"]
            assert [role for role, _ in messages] == ["user", "assistant", "tool", "user"]
            assert messages[2][1].startswith("The outcome is unknown")
            assert 'book({"seat":7}) had been called. The outcome is unknown' in messages[3][1]
            await until(lambda: call.what("spoken"))
            assert len(call.what("booked")) == 1

    asyncio.run(scenario())


def test_killed_in_a_tool_that_may_run_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with told(tmp_path, tool="look_up") as call:
            call.speak()
            await until(lambda: call.what("looked"))
            call.kill()
            await call.back()
            await until(lambda: len(call.what("asked")) == 2)
            gap = call.what("asked")[1]["messages"][-1][1]
            assert 'look_up({"seat":7}) had been called, was run again and answered: it is free' in gap
            assert len(call.what("looked")) == 2

    asyncio.run(scenario())


def test_killed_between_turns(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with told(tmp_path) as call:
            call.speak()
            await until(lambda: call.what("ended"))
            # On disk within a commit.
            await asyncio.sleep(0.5)
            call.kill()
            await call.back()
            await asyncio.sleep(1)
            # Nothing is owed: the model is told with the next words.
            assert len(call.what("asked")) == 1
            call.speak()
            await until(lambda: len(call.what("asked")) == 2)
            before, answer, words = call.what("asked")[1]["messages"]
            assert before == ["user", "What is there to tell?"]
            assert answer == ["assistant", "Yes."]
            assert re.fullmatch(
                r"\[The line was lost for \d+ s and is back\. .*\] What is there .*", words[1]
            )

    asyncio.run(scenario())
