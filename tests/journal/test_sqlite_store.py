"""Journals in a SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents.errors import SettingError
from fishjam_agents.journal.entries import BotSaid, CallEnded, JournalEntry, PeerCame, UserSaid
from fishjam_agents.journal.journal import Journals
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


def test_another_process_goes_on_and_the_one_before_may_write_no_more(tmp_path: Path) -> None:
    async def scenario(first: SqliteJournals) -> None:
        begun = await first.open(PLACE, now=100, resume=60)
        assert (begun.key.epoch, begun.entries) == (1, ())
        assert not await first.append([(begun.key, UserSaid(101, "Hello", "p"))])
        async with opened(tmp_path / "j.db") as second:
            taken = await second.open(PLACE, now=110, resume=60)
            assert taken.key == CallKey(begun.key.call, 2)
            assert taken.entries == [(1, UserSaid(101, "Hello", "p"))]
            # It was only stopped: what it writes now is not part of the call.
            late = [(begun.key, BotSaid(111, "r", "late")), (taken.key, BotSaid(112, "r", "Hi"))]
            assert await first.append(late) == {begun.key}
            assert await second.read(begun.key.call) == [
                (1, UserSaid(101, "Hello", "p")),
                (2, BotSaid(112, "r", "Hi")),
            ]

    play(tmp_path / "j.db", scenario)


@pytest.mark.parametrize(
    ("entry", "now", "place"),
    [
        (CallEnded(101, "over"), 102, PLACE),
        (UserSaid(101, "x"), 200, PLACE),
        (UserSaid(101, "x"), 102, CallPlace("http://fishjam", "room", "other")),
        (UserSaid(101, "x"), 102, CallPlace("http://fishjam", "other", "agent")),
    ],
    ids=["it ended", "long ago", "another bot", "another room"],
)
def test_a_new_call_begins(tmp_path: Path, entry: JournalEntry, now: float, place: CallPlace) -> None:
    async def scenario(store: SqliteJournals) -> None:
        first = await store.open(PLACE, now=100, resume=60)
        await store.append([(first.key, entry)])
        second = await store.open(place, now=now, resume=60)
        assert second.key.call != first.key.call
        assert (second.key.epoch, second.entries) == (1, ())

    play(tmp_path / "j.db", scenario)


def test_a_stranger_is_not_told_what_was_said(tmp_path: Path) -> None:
    async def scenario(store: SqliteJournals) -> None:
        async with Journals(store, 60, 3600, lambda: 100.0) as journals:
            first = await journals.open(PLACE, {"alice"})
            assert first is not None
            first.put(PeerCame(100, "alice"))
            first.put(UserSaid(100, "my secret", "alice"))
            again = await journals.open(PLACE, {"alice", "bob"})
            assert again is not None
            assert again.earlier is not None
            assert again.call == first.call
            other = await journals.open(PLACE, {"mallory"})
            assert other is not None
            assert (other.earlier, other.call == first.call) == (None, False)

    async def run() -> None:
        await scenario(SqliteJournals(tmp_path / "j.db"))

    asyncio.run(run())


def test_a_deleted_call_leaves_no_word_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    async def scenario(store: SqliteJournals) -> None:
        kept, gone = [
            (await store.open(CallPlace("f", room, "agent"), now=1, resume=0)).key for room in ("a", "b")
        ]
        await store.append([(kept, UserSaid(1, "stays here")), (gone, UserSaid(1, "xyzzy-secret"))])
        assert await store.delete(gone.call)
        assert not await store.delete(gone.call)
        assert [call.call for call in await store.calls()] == [kept.call]
        assert await store.append([(gone, UserSaid(2, "late"))]) == {gone}
        files = everything(tmp_path)
        assert b"stays here" in files
        assert b"xyzzy-secret" not in files

    play(path, scenario)


def test_what_is_too_old_is_deleted(tmp_path: Path) -> None:
    async def scenario(store: SqliteJournals) -> None:
        old, new = [
            (await store.open(CallPlace("f", str(now), "agent"), now=now, resume=0)).key for now in (10, 20)
        ]
        await store.append([(old, UserSaid(10, "x")), (new, UserSaid(20, "y"))])
        assert await store.purge(15) == 1
        assert [(call.call, call.entries) for call in await store.calls()] == [(new.call, 1)]
        assert await store.read(old.call) == []

    play(tmp_path / "j.db", scenario)


def test_an_encrypted_file_tells_nothing_and_its_key_can_be_changed(tmp_path: Path) -> None:
    fernet = pytest.importorskip("cryptography.fernet").Fernet
    path, old, new = tmp_path / "j.db", fernet.generate_key().decode(), fernet.generate_key().decode()
    key = CallKey("", 0)

    async def write(store: SqliteJournals) -> None:
        nonlocal key
        key = (await store.open(PLACE, now=1, resume=60)).key
        await store.append([(key, UserSaid(1, "xyzzy-secret"))])
        assert b"xyzzy" not in everything(tmp_path)

    async def read(store: SqliteJournals) -> None:
        assert await store.read(key.call) == [(1, UserSaid(1, "xyzzy-secret"))]

    async def refuse(store: SqliteJournals) -> None:
        with pytest.raises(JournalError, match=r"entry 1 in .* cannot be read .*: see that journal\.key"):
            await store.read(key.call)

    play(path, write, old)
    play(path, read, f"{new},{old}")
    play(path, refuse, new)
    play(path, refuse)


@pytest.mark.skipif(os.name == "nt", reason="has no such permissions")
def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    async def scenario(store: SqliteJournals) -> None:
        assert stat.S_IMODE((tmp_path / "new" / "j.db").stat().st_mode) == 0o600

    play(tmp_path / "new" / "j.db", scenario)


def test_a_file_of_version_1_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with sqlite3.connect(path) as file:
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
    with sqlite3.connect(newer) as file:
        file.execute("PRAGMA user_version = 99")
    other.write_text("no database at all, but a text that is long enough to be taken for one " * 20)
    for path, reason in ((newer, "format 99, newer than this program"), (other, "not a database")):
        with pytest.raises(JournalError, match=rf"{path.name} cannot be used .*{reason}.*journal\.path"):
            SqliteJournals(path)


def test_what_was_written_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    script = f"""
import asyncio, os, signal
from pathlib import Path
from fishjam_agents.journal.entries import ToolIntended
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.sqlite_store import SqliteJournals
from fishjam_agents.journal.store import CallPlace

async def main():
    async with Journals(SqliteJournals(Path({str(path)!r})), 60, 3600) as journals:
        journal = await journals.open(CallPlace("f", "r", "b"))
        journal.put(ToolIntended(journal.now(), "c1", "book", {{"seat": 1}}))
        assert await journal.written()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == -9

    async def scenario(store: SqliteJournals) -> None:
        (call,) = await store.calls()
        ((_, entry),) = await store.read(call.call)
        assert entry.kind == "tool_intended"

    play(path, scenario)


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
        ({"key": "short"}, r"journal\.key is no Fernet key: make one with"),
        ({"resume": -1}, r"journal\.resume must be between 0 and 86400"),
        ({"keep": 10}, r"journal\.keep must be at least journal\.resume"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        JournalSettings(**settings)  # type: ignore[arg-type]
