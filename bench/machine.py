"""Description of the machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

_PACKAGES = ("websockets", "numpy", "betterproto", "soxr", "uvloop", "aiortc")


def describe() -> str:
    """Versions, cores and load, in one line."""
    versions = [f"{name} {_version(name)}" for name in _PACKAGES]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    machine = f"{_processor()}, {cores} cores{load}, {platform.system()} {platform.machine()}"
    return f"python {platform.python_version()}, {', '.join(versions)}; {machine}"


def split_cores() -> tuple[set[int], set[int]]:
    """A core for the process that is measured, and the others; the same ones where there is only one.

    Left to the system, whoever is sent a frame wakes up on the core of the sender, which is interrupted for
    it and pays for the cold caches afterwards, once per frame. The peer of a real call is elsewhere.
    """
    cores = set(range(os.cpu_count() or 1))
    if hasattr(os, "sched_getaffinity"):
        cores = set(os.sched_getaffinity(0))
    first = {min(cores)}
    return first, cores - first or first


def keep_niceness(pid: int) -> None:
    """Let the niceness of this process count for a session that it began, among all processes of the machine.

    With autogroups (sched(7)) that of a process counts within its session only, and that of the session,
    which is 0, among the others: `nice -n -19` alone does nothing against other terminals.

    Args:
        pid: First process of the session.
    """
    group = Path(f"/proc/{pid}/autogroup")
    niceness = os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0
    if niceness < 0 and group.exists():
        with suppress(OSError):
            group.write_text(str(niceness))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM, bytes; None where the system does not tell (no /proc)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
