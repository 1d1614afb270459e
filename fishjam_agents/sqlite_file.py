"""SQLite files that several processes of one user share: opening them, and transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

BUSY_SECONDS = 3.0
"""Seconds a statement waits for another process that writes."""

Rows: TypeAlias = Callable[[str, tuple[object, ...]], list[Any]]
"""Runs a statement with its values and returns its rows."""


def open_database(
    path: Path,
    schema: str,
    version: int,
    *,
    synchronous: Literal["NORMAL", "FULL"],
    secure_delete: bool = False,
) -> sqlite3.Connection:
    """Open a file in WAL mode that its user alone may read, or make it.

    Args:
        path: The file; its folder is made, too.
        schema: Statements that make what is missing, separated by semicolons.
        version: Format of the file.
        synchronous: SQLite's pragma: FULL keeps what was committed through a power cut, too.
        secure_delete: Whether deleted rows are overwritten.

    Raises:
        sqlite3.DatabaseError: It is no database, or of a newer format.
        OSError: The file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA secure_delete = {'ON' if secure_delete else 'OFF'}")
        with transaction(connection) as rows:
            ((found,),) = rows("PRAGMA user_version", ())
            if found > version:
                raise sqlite3.DatabaseError(f"it is of format {found}, newer than this program")
            for statement in filter(str.strip, schema.split(";")):
                rows(statement, ())
            rows(f"PRAGMA user_version = {version}", ())
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[Rows]:
    """Run statements that no other process comes between; an error takes all of them back."""
    connection.execute(begin)
    try:
        yield lambda statement, values: connection.execute(statement, values).fetchall()
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
