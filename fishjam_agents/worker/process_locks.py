"""Locks by which a process of this machine sees that another one is gone, however it ended.

Each process holds a file locked, and the kernel lets go of the lock with the process: no process id is
compared, which may be another one's by now, or of another container. One that is stopped holds its lock.
Windows has no such locks: there nothing is known.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

ATTEMPTS = 50
"""Attempts to lock a file of one's own, which others lock for a moment to see whether its process lives."""
FORGOTTEN = 86400.0
"""Seconds after which a file of others, of whom nobody asks any more, is deleted."""


class ProcessLocks:
    """The locks of processes that belong together.

    Args:
        folder: Where their files are.
        group: What they have in common, to begin the names of their files with.
    """

    def __init__(self, folder: Path, group: str) -> None:
        self._folder = folder
        self._group = group
        self._mine: tuple[Path, int] | None = None

    def hold(self, name: str) -> None:
        """Hold the lock of this process; where that cannot be done, its death is not seen.

        Args:
            name: Name of the process.
        """
        if sys.platform == "win32":
            return
        path = self._folder / f"{self._group}-{name}"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(ATTEMPTS):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                # Somebody who looks before it is locked takes it for one of the dead, and deletes it.
                if (descriptor := _lock(path)) is not None:
                    if _is_at(path, descriptor):
                        self._mine = (path, descriptor)
                        return
                    os.close(descriptor)
                time.sleep(0.01)

    def let_go(self) -> None:
        """Delete the file of this process, which ends in order."""
        if self._mine is not None:
            path, descriptor = self._mine
            self._mine = None
            path.unlink(missing_ok=True)
            os.close(descriptor)

    @contextmanager
    def dead(self) -> Iterator[tuple[str, ...]]:
        """Names of processes that are gone; forgotten when the context is left without an error."""
        found: list[tuple[Path, int]] = []
        try:
            found.extend(
                (path, descriptor) for path in self._files() if (descriptor := _lock(path)) is not None
            )
            yield tuple(path.name.removeprefix(f"{self._group}-") for path, _ in found)
            for path, _ in found:
                path.unlink(missing_ok=True)
        finally:
            for _, descriptor in found:
                os.close(descriptor)

    def _files(self) -> list[Path]:
        if sys.platform == "win32" or not self._folder.is_dir():
            return []
        mine = None if self._mine is None else self._mine[0]
        files = []
        for path in self._folder.iterdir():
            if path == mine:
                continue
            if path.name.startswith(f"{self._group}-"):
                files.append(path)
            else:
                _forget_old(path)
        return files


def _lock(path: Path) -> int | None:
    """Lock a file, whose descriptor is returned; None while its process lives, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _forget_old(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > FORGOTTEN and (descriptor := _lock(path)) is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)
