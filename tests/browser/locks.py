"""Locks between the processes of a test run, which `pytest-xdist` does not offer."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_ROOT = Path(__file__).parents[2]


@contextmanager
def locked(name: str, slots: int = 1, patience: float = 600.0) -> Iterator[None]:
    """One of `slots` places of this checkout that nobody else has at the same time, in any process.

    The system takes a place back when its process ends, however that happens.

    Raises:
        TimeoutError: None was free for `patience` seconds.
    """
    if fcntl is None:
        yield
        return
    checkout = hashlib.sha256(os.fsencode(_ROOT)).hexdigest()[:12]
    files = [
        os.open(
            Path(tempfile.gettempdir()) / f"fishjam-agents-{checkout}-{name}-{slot}", os.O_CREAT | os.O_RDWR
        )
        for slot in range(slots)
    ]
    try:
        end = time.monotonic() + patience
        while not any(_taken(file) for file in files):
            if time.monotonic() > end:
                raise TimeoutError(f"no place of {slots} for {name} was free for {patience:g} s")
            time.sleep(0.05)
        yield
    finally:
        # Closing one gives it back.
        for file in files:
            os.close(file)


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
