"""`console` in a terminal: what it shows, the keys, and the terminal as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.audio.wav import read_wav

if sys.platform == "win32":
    pytest.skip("needs a POSIX terminal", allow_module_level=True)

import pty
import termios

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
PARROT = "agent: {backend: {type: parrot, text: 'I say what you say', at_least: 20}}\n"
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

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    async def exits(self) -> int:
        code = await self.process.wait()
        await asyncio.sleep(0.1)
        return code


@asynccontextmanager
async def talking(
    folder: Path, config: str = PARROT, recording: str = "alice_yes.wav"
) -> AsyncIterator[Terminal]:
    path = folder / "config.yaml"
    path.write_text(config)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    modes = termios.tcgetattr(theirs)
    hidden = ("FISHJAM_ID", "FISHJAM_MANAGEMENT_TOKEN", "UV", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fishjam_agents", "console", str(path)),
        *("--in", str(FIXTURES / recording), "--out", str(folder / "b.wav")),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm-256color"},
        # It has the terminal to itself, as a program that a shell started.
        preexec_fn=lambda: _take(theirs),
    )
    terminal = Terminal(process, ours, theirs, modes)
    try:
        async with asyncio.timeout(40):
            yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)


def _take(descriptor: int) -> None:
    import fcntl

    os.setsid()
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def test_it_shows_what_goes_on_and_keys_lead_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(tmp_path) as terminal:
            await terminal.shows("● listening")
            await terminal.shows("i interrupts · m mutes · q quits")
            assert not terminal.is_as_it_was
            await terminal.shows("● hearing you")
            await terminal.shows("you  (")
            await terminal.shows("● speaking")
            await terminal.shows("I say what you say")
            terminal.press("m")
            await terminal.shows("microphone muted")
            await terminal.shows("m unmutes")
            # A cursor key is no key of ours, though letters are in what it sends.
            terminal.press("\x1b[A")
            terminal.press("i")
            await terminal.shows("interrupted")
            # Words of which nothing was heard are struck through.
            assert re.search(r"\x1b\[[0-9;]*9m", terminal.raw)
            terminal.press("q")
            assert await terminal.exits() == 0
            assert "goodbye\r\n" in terminal.shown
            assert terminal.is_as_it_was
            assert terminal.raw.rindex(SHOW_CURSOR) > terminal.raw.rindex("● ")
        assert read_wav(tmp_path / "b.wav").seconds > 1

    asyncio.run(scenario())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(tmp_path: Path, number: int) -> None:
    async def scenario() -> None:
        async with talking(tmp_path) as terminal:
            await terminal.shows("● listening")
            terminal.signal(number)
            assert await terminal.exits() == 0
            assert "goodbye" in terminal.shown
            assert "Traceback" not in terminal.shown
            assert terminal.is_as_it_was

    asyncio.run(scenario())


def test_ctrl_c_twice_ends_it_at_once_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "import time\n"
        "from fishjam_agents import AgentPipeline\n"
        "from fishjam_agents.backends import Parrot\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Parrot()\n"
        "    async def on_stop(self):\n"
        "        print('stopping')\n"
        "        time.sleep(30)\n"
    )

    async def scenario() -> None:
        async with talking(tmp_path, "agent: {pipeline: 'bot:Bot'}\n") as terminal:
            await terminal.shows("● listening")
            terminal.press("\x03")
            await terminal.shows("stopping")
            await asyncio.sleep(0.6)
            terminal.press("\x03")
            assert await terminal.exits() == 130
            assert terminal.is_as_it_was
            assert terminal.raw.endswith(SHOW_CURSOR)

    asyncio.run(scenario())


def test_it_goes_on_in_the_foreground_after_ctrl_z(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with talking(tmp_path) as terminal:
            await terminal.shows("● listening")
            cooked = terminal._modes
            terminal.signal(signal.SIGSTOP)
            termios.tcsetattr(terminal._theirs, termios.TCSANOW, cooked)
            terminal.signal(signal.SIGCONT)
            terminal.press("m")
            await terminal.shows("microphone muted")
            assert not terminal.is_as_it_was
            terminal.press("q")
            assert await terminal.exits() == 0
            assert terminal.is_as_it_was

    asyncio.run(scenario())


def test_a_hook_that_prints_and_a_log_line_do_not_break_the_live_line(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "import logging\n"
        "from fishjam_agents import AgentPipeline\n"
        "from fishjam_agents.backends import Parrot\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Parrot()\n"
        "    async def on_start(self):\n"
        "        print('printed by a hook')\n"
        "        logging.getLogger('bot').warning('logged by a hook')\n"
        "        raise ValueError('a mistake')\n"
    )

    async def scenario() -> None:
        async with talking(tmp_path, "agent: {pipeline: 'bot:Bot'}\n") as terminal:
            for text in ("printed by a hook", "logged by a hook", "a mistake", "● listening"):
                await terminal.shows(text)
            terminal.press("q")
            assert await terminal.exits() == 0

    asyncio.run(scenario())
