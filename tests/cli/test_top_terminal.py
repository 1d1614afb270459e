"""`top` in a terminal: the table that goes on, other sizes, a program that goes away, and the end."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from fishjam_agents.server import EmbeddedServer

from .programs import all_served, occupied, running, until

if sys.platform == "win32":
    pytest.skip("needs a POSIX terminal", allow_module_level=True)

from .pseudo_terminal import SHOW_CURSOR, in_terminal

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"
CONFIG = "agent: {backend: {type: parrot}}\nrooms: every\napi: {port: 0}\n"


@pytest.mark.timeout(120)
def test_it_follows_the_calls_until_ctrl_c(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG)
        async with EmbeddedServer() as server, running(config, server, tmp_path / "state") as program:
            await program.says("Ctrl-C ends the calls.")
            url = re.findall(r"^  API      (\S+)$", program.said, re.M)[0]
            async with in_terminal("top", url, "--every", "0.2") as terminal:
                await terminal.shows("no calls; takes new rooms")
                assert ALTERNATE in terminal.raw
                (room,) = await occupied(server, 1)
                await until(lambda: all_served([room]))
                await terminal.shows("1 running; takes new rooms")
                await terminal.shows(room.id)
                # A signal without another size, and then a narrow terminal: it goes on in each.
                terminal.raw = ""
                terminal.signal(signal.SIGWINCH)
                await terminal.shows(room.id)
                terminal.raw = ""
                terminal.resize(12, 50)
                await terminal.shows("1 running; takes new rooms")
                terminal.raw = ""
                terminal.resize(24, 140)
                await terminal.shows(room.id)
                # The program goes away: that is told in place of the table, and top stays.
                program.signal(signal.SIGKILL)
                await program.exits()
                await terminal.shows("no program answers at")
                assert terminal.process.returncode is None
                terminal.press("\x03")
                assert await terminal.exits() == 0
                assert BACK in terminal.raw
                assert SHOW_CURSOR in terminal.raw
                assert terminal.is_as_it_was
                assert "Traceback" not in terminal.raw

    asyncio.run(scenario())


def test_ctrl_c_before_the_first_look_ends_it_quietly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                writer.close()

        silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        async with in_terminal("top", f"http://127.0.0.1:{port}") as terminal:
            await asyncio.sleep(2.5)
            terminal.press("\x03")
            code = await terminal.exits()
            assert (code, "Traceback" in terminal.raw) in ((0, False), (130, False)), terminal.raw
        silent.close()
        await asyncio.sleep(0.1)

    asyncio.run(scenario())
