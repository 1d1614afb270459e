"""Journals in a SQLite file, for the processes of one machine.

The file is in WAL mode, which needs a local disk (SQLite docs, Write-Ahead Logging), and every commit is
synced: what was written is there after a crash of the machine, too.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from fishjam_agents.journal.encryption import Cipher
from fishjam_agents.journal.entries import CallEnded, JournalEntry, decode, encode
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError, JournalSummary, OpenedJournal
from fishjam_agents.sqlite_file import Rows, open_database, transaction

DEADLINE = 8.0
"""Seconds a whole operation may take, a disk that hangs included."""

VERSION = 1
"""Format of the file (`PRAGMA user_version`). A release reads its own and the one before."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY,
    fishjam TEXT NOT NULL,
    room TEXT NOT NULL,
    bot TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    begun REAL NOT NULL,
    last REAL NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_place ON calls (fishjam, room, bot);
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    call TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    encrypted INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_call ON entries (call, number);
"""

T = TypeVar("T")


class SqliteJournals:
    """A `JournalStore` in a file.

    Args:
        path: The file; it is made where it is missing, readable by its owner alone.
        cipher: Encrypts what is said and done; ids, kinds of entries and times stay readable.

    Raises:
        JournalError: The file cannot be used.
    """

    def __init__(self, path: Path, cipher: Cipher | None = None) -> None:
        self._path = path
        self._cipher = cipher
        # SQLite waits for locks and disks; the loop does not. One thread keeps operations in their order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            self._connection = self._thread.submit(self._open).result(DEADLINE)
        except BaseException as error:
            self._thread.shutdown(wait=False)
            if isinstance(error, (sqlite3.Error, OSError, TimeoutError)):
                raise self._problem(error) from error
            raise

    async def open(self, place: CallPlace, now: float, resume: float) -> OpenedJournal:
        """Part of `JournalStore`."""

        def work() -> OpenedJournal:
            with transaction(self._connection) as rows:
                where = (place.fishjam, place.room, place.bot)
                found = rows(
                    "SELECT id, epoch FROM calls WHERE fishjam = ? AND room = ? AND bot = ? "
                    "AND NOT ended AND last >= ? ORDER BY last DESC LIMIT 1",
                    (*where, now - resume),
                )
                if not found:
                    id = uuid.uuid4().hex
                    rows("INSERT INTO calls VALUES (?, ?, ?, ?, 1, ?, ?, 0)", (id, *where, now, now))
                    return OpenedJournal(CallKey(id, 1))
                id, epoch = found[0]
                rows("UPDATE calls SET epoch = ?, last = ? WHERE id = ?", (epoch + 1, now, id))
                return OpenedJournal(CallKey(id, epoch + 1), self._read(rows, id))

        return await self._run(work)

    async def append(self, entries: Sequence[tuple[CallKey, JournalEntry]]) -> Set[CallKey]:
        """Part of `JournalStore`."""

        def work() -> Set[CallKey]:
            bodies = [(key, entry, self._sealed(encode(entry))) for key, entry in entries]
            with transaction(self._connection) as rows:
                lost = {
                    key
                    for key in dict.fromkeys(key for key, _ in entries)
                    if not rows("SELECT 1 FROM calls WHERE id = ? AND epoch = ?", (key.call, key.epoch))
                }
                for key, entry, body in bodies:
                    if key in lost:
                        continue
                    rows(
                        "INSERT INTO entries (call, epoch, at, kind, encrypted, body) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (key.call, key.epoch, entry.at, entry.kind, self._cipher is not None, body),
                    )
                    rows(
                        "UPDATE calls SET last = max(last, ?), ended = ended OR ? WHERE id = ?",
                        (entry.at, isinstance(entry, CallEnded), key.call),
                    )
                return lost

        # Without a deadline: what is given up and tried again may have been written.
        return await self._run(work, None)

    async def read(self, call: str) -> Sequence[tuple[int, JournalEntry]]:
        """Part of `JournalStore`."""

        def work() -> Sequence[tuple[int, JournalEntry]]:
            with transaction(self._connection, "BEGIN") as rows:
                return self._read(rows, call)

        return await self._run(work)

    async def calls(self) -> Sequence[JournalSummary]:
        """Part of `JournalStore`."""

        def work() -> Sequence[JournalSummary]:
            with transaction(self._connection, "BEGIN") as rows:
                found = rows(
                    "SELECT id, fishjam, room, bot, epoch, begun, last, ended, "
                    "(SELECT count(*) FROM entries WHERE call = id) FROM calls ORDER BY begun",
                    (),
                )
            return [
                JournalSummary(id, CallPlace(fishjam, room, bot), epoch, begun, last, bool(ended), number)
                for id, fishjam, room, bot, epoch, begun, last, ended, number in found
            ]

        return await self._run(work)

    async def delete(self, call: str) -> bool:
        """Part of `JournalStore`."""

        def work() -> bool:
            with transaction(self._connection) as rows:
                rows("DELETE FROM entries WHERE call = ?", (call,))
                deleted = bool(rows("DELETE FROM calls WHERE id = ? RETURNING id", (call,)))
            self._forget_deleted()
            return deleted

        return await self._run(work)

    async def purge(self, before: float) -> int:
        """Part of `JournalStore`."""

        def work() -> int:
            with transaction(self._connection) as rows:
                old = rows("DELETE FROM calls WHERE last < ? RETURNING id", (before,))
                for (id,) in old:
                    rows("DELETE FROM entries WHERE call = ?", (id,))
            if old:
                self._forget_deleted()
            return len(old)

        return await self._run(work)

    async def close(self) -> None:
        """Part of `JournalStore`."""
        try:
            await self._run(self._connection.close)
        finally:
            self._thread.shutdown(wait=False)

    # --- in the thread ---

    def _open(self) -> sqlite3.Connection:
        # It holds what people said: what was deleted is not left in free pages.
        return open_database(self._path, _SCHEMA, VERSION, synchronous="FULL", secure_delete=True)

    def _read(self, rows: Rows, call: str) -> Sequence[tuple[int, JournalEntry]]:
        found = rows(
            "SELECT number, epoch, at, kind, encrypted, body FROM entries WHERE call = ? ORDER BY number",
            (call,),
        )
        entries = []
        for number, epoch, at, kind, encrypted, body in found:
            try:
                entry = decode(kind, at, self._opened(body) if encrypted else body)
            except (ValueError, TypeError) as error:
                raise JournalError(
                    f"entry {number} in {self._path} cannot be read ({error}): see that journal.key holds "
                    "the key it was written with, too"
                ) from error
            if entry is not None:
                entries.append((epoch, entry))
        return entries

    def _sealed(self, body: bytes) -> bytes:
        return body if self._cipher is None else self._cipher.encrypt(body)

    def _opened(self, body: bytes) -> bytes:
        if self._cipher is None:
            raise ValueError("it is encrypted")
        return self._cipher.decrypt(body)

    def _forget_deleted(self) -> None:
        """Empty the write-ahead log, in which pages stand as they were before."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _run(self, work: Callable[[], T], deadline: float | None = DEADLINE) -> T:
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise self._problem(error) from error

    def _problem(self, error: BaseException) -> JournalError:
        reason = str(error) or type(error).__name__
        return JournalError(
            f"the journal in {self._path} cannot be used ({reason}): see that the file can be written, or "
            "name another one in journal.path"
        )
