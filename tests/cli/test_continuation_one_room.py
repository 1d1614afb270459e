"""`run` of a file about one room is killed in the middle of a conversation, and started again."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.journal.store import JournalSummary
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.callers import Caller

from .programs import ROOT, Watch, bots, running, until
from .told_bot import BOT

LONG = "One one one one. Two two two two. Three three three three. Four four four four."

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.timeout(300),
]


class Folder:
    """A folder with a bot, its file, and what it has done."""

    def __init__(self, path: Path, room: str) -> None:
        self.path = path
        self.config = path / "config.yaml"
        (path / "told_bot.py").write_text(BOT)
        (path / "script.json").write_text(json.dumps({"reply": LONG, "tool": "", "takes": 30}))
        self.config.write_text(f"agent: {{pipeline: 'told_bot:Bot'}}\nroom: {room}\njournal: journal.db\n")

    def what(self, kind: str) -> list[dict[str, Any]]:
        file = self.path / "what.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for line in lines if (event := json.loads(line))["kind"] == kind]

    async def calls(self) -> list[JournalSummary]:
        store = SqliteJournals(self.path / "journal.db")
        try:
            return list(await store.calls())
        finally:
            await store.close()


def speak(caller: Caller) -> None:
    caller.say(read_wav(ROOT / "audio_fixtures" / "alice_yes.wav"))


def play(scenario: Callable[[EmbeddedServer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with EmbeddedServer() as server:
            await scenario(server)

    asyncio.run(run())


@pytest.mark.parametrize("is_made", [False, True], ids=["a room of its own", "a room that run made"])
def test_killed_and_started_again_it_goes_on(tmp_path: Path, is_made: bool) -> None:
    async def scenario(server: EmbeddedServer) -> None:
        room = None if is_made else server.rooms.create()
        folder = Folder(tmp_path, "{create: true}" if room is None else f"{{id: '{room.id}'}}")
        watch = Watch(server)
        async with running(folder.config, server, tmp_path / "state") as program:
            await program.says("Ctrl-C")
            (room,) = server.rooms
            caller = await server.add_caller(room.id)
            await until(lambda: folder.what("joined"))
            speak(caller)
            await until(lambda: folder.what("spoken"))
            await asyncio.sleep(1.6)
            program.signal(signal.SIGKILL)
            await program.exits()
        async with running(folder.config, server, tmp_path / "state") as program:
            await until(lambda: len(folder.what("asked")) == 2)
            words = folder.what("asked")[1]["messages"]
            assert words[0] == ["user", "What is there to tell?"]
            assert LONG.startswith(words[1][1].removesuffix(" [interrupted]"))
            assert re.match(r"\[The line was lost for \d+ s and is back", words[2][1])
            assert [event["continued"] for event in folder.what("joined")] == [False, True]
            assert [each.id for each in server.rooms] == [room.id]
            assert len(bots(room)) == 1
            assert watch.most[room.id] == 1
            program.signal(signal.SIGINT)
            await program.exits()
        (call,) = await folder.calls()
        # The room that was made is gone with the second run, and the conversation with it.
        assert (call.epochs, call.ended, list(server.rooms)) == (2, is_made, [] if is_made else [room])

    play(scenario)


def test_nobody_is_told_what_was_said_in_a_room_that_is_no_more(tmp_path: Path) -> None:
    async def one_run(server: EmbeddedServer, folder: Folder, number: int) -> None:
        async with running(folder.config, server, tmp_path / "state") as program:
            await program.says("Ctrl-C")
            (room,) = server.rooms
            caller = await server.add_caller(room.id)
            await until(lambda: len(folder.what("joined")) == number)
            speak(caller)
            await until(lambda: len(folder.what("asked")) == number)
            program.signal(signal.SIGKILL)
            await program.exits()
        server.rooms.delete(room.id)

    async def scenario(server: EmbeddedServer) -> None:
        folder = Folder(tmp_path, "{create: true}")
        for number in (1, 2):
            await one_run(server, folder, number)
        assert [event["continued"] for event in folder.what("joined")] == [False, False]
        assert folder.what("asked")[1]["messages"] == [["user", "What is there to tell?"]]
        assert [call.epochs for call in await folder.calls()] == [1, 1]

    play(scenario)
