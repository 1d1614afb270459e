"""A command in a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOW_CURSOR = "\x1b[?25h"


class Terminal:
    """A pseudo-terminal with the command in it."""

    def __init__(self, process: asyncio.subprocess.Process, ours: int, theirs: int, modes: list[Any]) -> None:
        self.process = process
        self.raw = ""
        self._ours, self._theirs = ours, theirs
        self._modes = modes
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(ours, self._read)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.raw += os.read(self._ours, 65536).decode(errors="replace")
        self._news.set()

    @property
    def shown(self) -> str:
        return ESCAPES.sub("", self.raw)

    async def shows(self, text: str) -> None:
        try:
            while text not in self.shown:
                self._news.clear()
                await self._news.wait()
        except asyncio.CancelledError:
            raise AssertionError(f"{text!r} never came: {self.shown[-2000:]}") from None

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def is_as_it_was(self) -> bool:
        return termios.tcgetattr(self._theirs) == self._modes

    def resize(self, rows: int, columns: int) -> None:
        """Another size; the kernel tells the command of it with SIGWINCH."""
        termios.tcsetwinsize(self._ours, (rows, columns))

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def exits(self) -> int:
        code = await self.process.wait()
        await asyncio.sleep(0.1)
        return code


@asynccontextmanager
async def in_terminal(*words: str, **variables: str) -> AsyncIterator[Terminal]:
    """The command with these words, in a terminal of 24 rows and 120 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    modes = termios.tcgetattr(theirs)
    hidden = ("FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN", "UV", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", *words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm-256color", **variables},
        # It has the terminal to itself, as a program that a shell started.
        preexec_fn=lambda: _take(theirs),
    )
    terminal = Terminal(process, ours, theirs, modes)
    try:
        async with asyncio.timeout(120):
            yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)


def _take(descriptor: int) -> None:
    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
