"""The Start page is done as it stands there: in an empty environment, to a tested bot with two tools."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.docs.test_documents import ROOT, blocks

PAGE = (ROOT / "docs" / "index.md").read_text()
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
FILES = {
    name.removeprefix("# "): code
    for name, _, code in (block.partition("\n") for block in blocks(PAGE, "python"))
}
RUN = "fishjam-agents run config.yaml"
DEADLINE = 900.0
"""Seconds for all of it: most is downloading, and building the environment on a machine that others use."""


def test_there_are_at_most_ten_commands() -> None:
    assert 0 < len(COMMANDS) <= 10
    assert set(FILES) == {"bot.py", "test_bot.py"}


class Shell:
    """A shell of a stranger: none of our environment is in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        # Which index packages come from is the machine's business, and no part of the page.
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_", "UV_")) or name.lower().endswith("_proxy")
        }
        kept.pop("UV_PROJECT_ENVIRONMENT", None)
        uv = shutil.which("uv")
        if uv:
            # pip asks the network for what uv has in its cache: minutes, which say nothing of the page.
            cache = subprocess.run(
                [uv, "cache", "dir"], capture_output=True, text=True, check=True, timeout=60
            )
            kept["UV_CACHE_DIR"] = cache.stdout.strip()
        self.said = home / "said"
        with self.said.open("wb") as said:
            self.process = self._start(folder, home, kept, said)
        if uv:
            self.type(f'pip() {{ {uv} pip "$@"; }}')

    @staticmethod
    def _start(folder: Path, home: Path, kept: dict[str, str], said: BinaryIO) -> subprocess.Popen[str]:
        python = Path(sys.base_prefix) / "bin"
        return subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
            env={
                **kept,
                "HOME": str(home),
                "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin",
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def type(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def does(self, command: str) -> str:
        """Run a command to its end; what it printed."""
        before = len(self.said.read_text())
        self.type(f"{command}\necho done: $?")
        return self.shows("done: 0", before)

    def shows(self, text: str, before: int = 0) -> str:
        deadline = time.monotonic() + DEADLINE
        while text not in (said := self.said.read_text()[before:]) and time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        assert text in said, self.said.read_text()[-4000:]
        return said


@pytest.mark.timeout(DEADLINE + 60)
@pytest.mark.skipif(sys.platform == "win32", reason="the page is for a POSIX shell")
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, to copy the checkout")
def test_its_commands_run_unedited_and_end_in_a_tested_bot_with_two_tools(tmp_path: Path) -> None:
    checkout, home = tmp_path / "fishjam_agents", tmp_path / "home"
    home.mkdir()
    for folder in ("fishjam_agents", "integrations"):
        unwanted = shutil.ignore_patterns("__pycache__", "tests", "emulator", ".*")
        shutil.copytree(ROOT / folder, checkout / folder, ignore=unwanted)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    shell = Shell(checkout, home)
    shop = tmp_path / "shop"
    try:
        said = ""
        for command in COMMANDS:
            if command != RUN:
                said += shell.does(command)
                continue
            # Other tests may have the port of everyday use.
            config = shop / "config.yaml"
            config.write_text(config.read_text().replace("id: local ", "port: 0\n  id: local "))
            before = len(shell.said.read_text())
            shell.type(f"{command} &")
            link = re.search(r"http://127\.0\.0\.1:\d+/", shell.shows("Ctrl-C ends the call.", before))
            assert link is not None
            with urllib.request.urlopen(link[0], timeout=60) as page:
                assert b"<!doctype html>" in page.read().lower()
            shell.type("kill -INT $!")
            shell.shows("goodbye", before)
            # After it the reader edits.
            for name, code in FILES.items():
                (shop / name).write_text(code)
        assert "3 passed" in said
        assert "scenario passed: 4 expectations met" in said
        assert "order_status(number: integer); opening_hours(day: string); end_call()" in said
    finally:
        shell.end()
