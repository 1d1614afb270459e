"""`console` in a terminal: what it shows, the keys, and the terminal as it was."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fishjam_agents.audio.wav import read_wav

if sys.platform == "win32":
    pytest.skip("needs a POSIX terminal", allow_module_level=True)

import termios

from .pseudo_terminal import SHOW_CURSOR, Terminal, in_terminal

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
PARROT = "agent: {backend: {type: parrot, text: 'I say what you say', at_least: 20}}\n"


@asynccontextmanager
async def talking(
    folder: Path, config: str = PARROT, recording: str = "alice_yes.wav"
) -> AsyncIterator[Terminal]:
    path = folder / "config.yaml"
    path.write_text(config)
    words = ("console", str(path), "--in", str(FIXTURES / recording), "--out", str(folder / "b.wav"))
    async with in_terminal(*words) as terminal:
        yield terminal


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
