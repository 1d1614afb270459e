"""Claims of rooms in a SQLite file, for the processes of one machine.

The file is in WAL mode, which needs a local disk (SQLite docs, Write-Ahead Logging). Times are those of the
machine's monotonic clock, which all its processes share and nobody sets. It starts anew with the machine: an
end that lies further away than a claim can last belongs to an earlier boot. A process that is gone is seen by
the lock it held (`process_locks.py`), one that is only stopped when its claims end.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from fishjam_agents.sqlite_file import open_database, transaction
from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere
from fishjam_agents.worker.orphaned_agents import state_folder
from fishjam_agents.worker.process_locks import ProcessLocks

LIFETIME = 10.0
"""Seconds a claim holds without being renewed: longer than an overloaded machine keeps a process waiting."""
RENEWALS = 4
"""Renewals in the lifetime of a claim."""
CLEAR_INTERVAL = 1.0
"""Seconds between two looks for processes that are gone, and for claims that ended."""
DEADLINE = 8.0
"""Seconds a whole operation may take, a disk that hangs included."""

_VERSION = 1
"""Format of the file (`PRAGMA user_version`)."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (
    fishjam TEXT NOT NULL,
    room TEXT NOT NULL,
    owner TEXT NOT NULL,
    agent TEXT,
    expires REAL NOT NULL,
    PRIMARY KEY (fishjam, room)
) WITHOUT ROWID
"""

T = TypeVar("T")


def default_path() -> Path:
    """Return the file where nothing else is said: `claims.db` in the user's state folder."""
    return state_folder() / "claims.db"


class SqliteClaims:
    """Claims of one process; see `Claims`.

    Args:
        path: The file; it is made where it is missing.
        fishjam: Base URL of the server whose rooms they are.
        owner: Name of the process, different from that of every other one; None makes one.
        lifetime: Seconds a claim holds without being renewed; the same for all who share the file.
        clock: Seconds of a clock that all processes share.

    Attributes:
        owner: Name of the process.

    Raises:
        ClaimStoreError: The file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        fishjam: str,
        owner: str | None = None,
        *,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner or f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = path
        self._fishjam = fishjam
        self._lifetime = lifetime
        self._clock = clock
        group = hashlib.sha256(fishjam.encode()).hexdigest()[:12]
        self._locks = ProcessLocks(path.with_name(f"{path.name}.processes"), group)
        # SQLite waits for locks and disks; the loop does not. One thread keeps operations in their order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="claims")
        try:
            self._connection = self._thread.submit(self._open).result(DEADLINE)
        except BaseException as error:
            self._thread.shutdown(wait=False)
            if isinstance(error, (sqlite3.Error, OSError, TimeoutError)):
                raise self._problem(error) from error
            raise

    @property
    def renew_interval(self) -> float:
        """Part of `Claims`."""
        return self._lifetime / RENEWALS

    @property
    def clear_interval(self) -> float:
        """Part of `Claims`."""
        return min(CLEAR_INTERVAL, self.renew_interval)

    async def acquire(self, room_id: str) -> Claimed | HeldElsewhere:
        """Part of `Claims`."""

        def take() -> Claimed | HeldElsewhere:
            now = self._clock()
            with transaction(self._connection) as rows:
                found = rows(
                    "SELECT owner, agent, expires FROM claims WHERE fishjam = ? AND room = ?",
                    (self._fishjam, room_id),
                )
                owner, agent, expires = found[0] if found else (None, None, 0.0)
                if owner not in (None, self.owner) and self._holds(expires, now):
                    return HeldElsewhere(expires - now)
                # The agent stays noted: who takes over from a process that ends right here still finds it.
                rows(
                    "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)",
                    (self._fishjam, room_id, self.owner, agent, now + self._lifetime),
                )
                return Claimed(agent)

        return await self._run(take)

    async def note_agent(self, room_id: str, agent_id: str | None) -> bool:
        """Part of `Claims`."""

        def note() -> bool:
            with transaction(self._connection) as rows:
                mine = rows(
                    "UPDATE claims SET agent = ?, expires = ? WHERE fishjam = ? AND room = ? AND owner = ? "
                    "RETURNING room",
                    (agent_id, self._clock() + self._lifetime, self._fishjam, room_id, self.owner),
                )
                return bool(mine)

        return await self._run(note)

    async def renew(self) -> Set[str]:
        """Part of `Claims`."""

        def renew() -> Set[str]:
            with transaction(self._connection) as rows:
                # Also what has expired meanwhile: it is still ours, since nobody has taken it.
                held = rows(
                    "UPDATE claims SET expires = ? WHERE fishjam = ? AND owner = ? RETURNING room",
                    (self._clock() + self._lifetime, self._fishjam, self.owner),
                )
                return {room for (room,) in held}

        return await self._run(renew)

    async def release(self, room_id: str) -> None:
        """Part of `Claims`."""

        def release() -> None:
            with transaction(self._connection) as rows:
                rows(
                    "DELETE FROM claims WHERE fishjam = ? AND room = ? AND owner = ?",
                    (self._fishjam, room_id, self.owner),
                )

        await self._run(release)

    async def take_expired(self) -> Sequence[tuple[str, str | None]]:
        """Part of `Claims`."""

        def take() -> Sequence[tuple[str, str | None]]:
            now = self._clock()
            with self._locks.dead() as dead, transaction(self._connection) as rows:
                for owner in dead:
                    rows(
                        "UPDATE claims SET expires = 0 WHERE fishjam = ? AND owner = ?",
                        (self._fishjam, owner),
                    )
                taken = rows(
                    "UPDATE claims SET owner = ?, expires = ? WHERE fishjam = ? AND owner != ? "
                    "AND NOT (expires > ? AND expires <= ?) RETURNING room, agent",
                    (self.owner, now + self._lifetime, self._fishjam, self.owner, now, now + self._lifetime),
                )
                return [(room, agent) for room, agent in taken]

        return await self._run(take)

    async def expire(self, owner: str) -> None:
        """End the claims of a process that is known to be gone; who takes them deletes its agents.

        Args:
            owner: Name of the process.
        """

        def expire() -> None:
            with transaction(self._connection) as rows:
                rows("UPDATE claims SET expires = 0 WHERE fishjam = ? AND owner = ?", (self._fishjam, owner))

        await self._run(expire)

    async def close(self) -> None:
        """Part of `Claims`."""

        def close() -> None:
            mine = (self._fishjam, self.owner)
            with suppress(sqlite3.Error), transaction(self._connection) as rows:
                # Those with an agent are left to whoever deletes it.
                rows("DELETE FROM claims WHERE fishjam = ? AND owner = ? AND agent IS NULL", mine)
                rows("UPDATE claims SET expires = 0 WHERE fishjam = ? AND owner = ?", mine)
            self._connection.close()
            self._locks.let_go()

        try:
            await self._run(close)
        finally:
            self._thread.shutdown(wait=False)

    # --- in the thread ---

    def _open(self) -> sqlite3.Connection:
        # A crash of the machine may lose the last claims; its processes are gone then, too.
        connection = open_database(self._path, _SCHEMA, _VERSION, synchronous="NORMAL")
        self._locks.hold(self.owner)
        return connection

    def _holds(self, expires: float, now: float) -> bool:
        return now < expires <= now + self._lifetime

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(DEADLINE):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise self._problem(error) from error

    def _problem(self, error: BaseException) -> ClaimStoreError:
        reason = str(error) or type(error).__name__
        return ClaimStoreError(
            f"the claims in {self._path} cannot be used ({reason}): see that the file can be written, or "
            "name another one in workers.claims"
        )
