"""Memory that is left for a model: engines end the program, or the system does, where there is too little."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fishjam_agents.errors import ConfigError

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def require_memory(
    what: str, resident: float, *, setting: str, reserved: float = 0.0, apart: bool = False
) -> None:
    """Verify that a model that is about to be loaded fits (Linux; elsewhere nothing is known of it).

    Args:
        what: The model, for the message.
        resident: Bytes that it takes at least.
        setting: The setting that names it, for the message.
        reserved: Bytes of addresses that it reserves besides, which only `ulimit -v` counts.
        apart: Whether it has a process of its own, whose addresses are all free.

    Raises:
        ConfigError: There is less.
    """
    for limit, left in free_memory(apart=apart):
        needed = resident + (reserved if limit == ADDRESSES else 0.0)
        if left < needed:
            raise ConfigError(
                f"{what} does not fit into memory: it needs {needed / 1e6:.0f} MB at least, and "
                f"{left / 1e6:.0f} MB are left ({limit}): use a smaller model, or give it more",
                setting=setting,
            )


ADDRESSES = "ulimit -v"


def free_memory(
    *, apart: bool = False, proc: Path = _PROC, cgroups: Path = _CGROUPS
) -> Iterator[tuple[str, int]]:
    """Bytes that this process may still take, by what limits them.

    Sources: proc(5), `Documentation/admin-guide/cgroup-v2.rst` of Linux.

    Args:
        apart: Of one that it starts.
        proc: Where the system tells of processes.
        cgroups: Where version 2 of control groups is mounted.
    """
    with suppress(OSError, LookupError, ValueError):
        yield "MemAvailable of the machine", _kilobytes(proc / "meminfo", "MemAvailable")
    with suppress(OSError, LookupError, ValueError):
        (own,) = re.findall(r"^0::/(.*)$", (proc / "self" / "cgroup").read_text(), re.MULTILINE)
        folder = cgroups / own
        # Each group above limits, too; the root has no files of its own.
        for group in (folder, *folder.parents):
            if group.is_relative_to(cgroups) and (group / "memory.max").is_file():
                with suppress(ValueError):
                    yield f"memory.max of {group}", _left_in(group)
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        with suppress(OSError, LookupError, ValueError):
            if limit != resource.RLIM_INFINITY:
                taken = 0 if apart else _kilobytes(proc / "self" / "status", "VmSize")
                yield ADDRESSES, limit - taken


def _left_in(group: Path) -> int:
    """Bytes that are left in a control group.

    Raises:
        ValueError: It has no limit.
    """
    most = int((group / "memory.max").read_text())
    parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    # What is kept of files is given up first.
    return most - int((group / "memory.current").read_text()) + int(parts.get("inactive_file", 0))


def _kilobytes(file: Path, key: str) -> int:
    (value,) = re.findall(rf"^{key}:\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    return 1024 * int(value)
