"""Journals in a SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from fishjam_agents.errors import SettingError
from fishjam_agents.journal.entries import BotSaid, UserSaid
from fishjam_agents.journal.settings import JournalSettings
from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError
from fishjam_agents.journal.writer import JournalWriter

PLACE = CallPlace("http://fishjam", "room", "agent")
VERSION_1 = Path(__file__).parent / "version_1.sql"


@asynccontextmanager
async def opened(path: Path, keys: str | None = None) -> AsyncIterator[SqliteJournals]:
    from fishjam_agents.journal.encryption import fernet

    store = SqliteJournals(path, None if keys is None else fernet(keys))
    try:
        yield store
    finally:
        await store.close()


def play(path: Path, scenario: Callable[[SqliteJournals], Awaitable[None]], keys: str | None = None) -> None:
    async def run() -> None:
        async with opened(path, keys) as store:
            await scenario(store)

    asyncio.run(run())


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="has no such permissions")
def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    async def scenario(store: SqliteJournals) -> None:
        assert stat.S_IMODE((tmp_path / "new" / "j.db").stat().st_mode) == 0o600

    play(tmp_path / "new" / "j.db", scenario)


def test_a_file_of_version_1_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(VERSION_1.read_text())

    async def scenario(store: SqliteJournals) -> None:
        opened = await store.open(CallPlace("http://127.0.0.1:5002", "room-1", "agent"), 1764393610, 60)
        assert opened.key == CallKey("c0ffee", 3)
        assert [(epoch, entry.kind) for epoch, entry in opened.entries] == [
            (1, "call_began"),
            (1, "peer_came"),
            (1, "turn_ended"),
            (1, "user_said"),
            (1, "bot_said"),
            (1, "bot_heard"),
            (1, "tool_intended"),
            (1, "tool_ended"),
            (1, "handle_came"),
            (2, "instructions_changed"),
        ]
        assert opened.entries[3][1] == UserSaid(1764393603.0, "Is there a table for two?", "alice")
        assert await store.append([(opened.key, UserSaid(1764393611, "more"))]) == set()

    play(path, scenario)


def test_a_newer_file_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    newer, other = tmp_path / "newer.db", tmp_path / "other.db"
    with closing(sqlite3.connect(newer)) as file, file:
        file.execute("PRAGMA user_version = 99")
    other.write_text("no database at all, but a text that is long enough to be taken for one " * 20)
    for path, reason in ((newer, "format 99, newer than this program"), (other, "not a database")):
        with pytest.raises(JournalError, match=rf"{path.name} cannot be used .*{reason}.*journal\.path"):
            SqliteJournals(path)


def test_the_writer_keeps_order_and_entries_while_the_store_is_away(tmp_path: Path) -> None:
    async def scenario(store: SqliteJournals) -> None:
        key = (await store.open(PLACE, now=1, resume=60)).key
        writer = JournalWriter(store)
        locker = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        for number in range(1500):
            writer.put(key, BotSaid(1.0, "r", str(number)))
        assert not await writer.written(0.1)
        locker.execute("COMMIT")
        assert await writer.written(20)
        await writer.close()
        said = [entry.text for _, entry in await store.read(key.call) if isinstance(entry, BotSaid)]
        assert said == [str(number) for number in range(1500)]
        locker.close()

    play(tmp_path / "j.db", scenario)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "redis"}, r"journal\.url and type: redis belong together: give both"),
        ({"url": "redis://h"}, r"journal\.url and type: redis belong together: give both"),
        (
            {"type": "redis", "url": "http://h"},
            r"journal\.url is no address of a Redis: write it as redis://",
        ),
        ({"type": "redis", "url": "redis://h", "path": Path("x")}, r"journal\.path is a SQLite file, and"),
        ({"key": "short"}, r"journal\.key is no Fernet key: make one with"),
        ({"resume": -1}, r"journal\.resume must be between 0 and 86400"),
        ({"keep": 10}, r"journal\.keep must be at least journal\.resume"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        JournalSettings(**settings)  # type: ignore[arg-type]
