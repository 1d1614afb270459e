"""`run --reload`: the bot in a process of its own, started again whenever its files change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from fishjam_agents.cli.interrupts import PATIENCE
from fishjam_agents.cli.output import say

LOOK_INTERVAL = 0.3
"""Seconds between two looks at the files."""
MOST_FILES = 2000
"""Files that are watched; a folder with more holds more than a bot."""

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


def run_again_on_changes(config: Path, words: Sequence[str]) -> int:
    """Run the bot until Ctrl-C, and again after every change; returns the exit code.

    A bot that ended by itself, say because of a mistake in its file, is run again at the next change.

    Args:
        config: The config.yaml; it and the YAML and Python files beside it and below are watched.
        words: Words of the command line of the bot's process.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    folder = config.resolve().parent
    # The other end tells the bot's process that this one is gone, however it ended.
    pipe, ours = os.pipe()
    process: subprocess.Popen[bytes] | None = None
    before = signal.signal(signal.SIGTERM, end)
    try:
        while True:
            seen = _stamps(folder)
            process = _start(words, pipe)
            _wait_for_change(folder, seen, process)
            if process.poll() is None:
                say(f"{config} or a module changed: starting again")
                _stop(process)
    except KeyboardInterrupt:
        # Ctrl-C went to the bot, too; a second one within its echo does no harm.
        return 0 if process is None else _stop(process)
    finally:
        signal.signal(signal.SIGTERM, before)
        if process is not None and process.poll() is None:
            process.kill()
        os.close(pipe)
        os.close(ours)


def _start(words: Sequence[str], pipe: int) -> subprocess.Popen[bytes]:
    if sys.platform == "win32":
        # Descriptors cannot be passed on there.
        return subprocess.Popen([sys.executable, "-m", "fishjam_agents", *words])
    child = [sys.executable, "-m", "fishjam_agents.cli.reload_child", str(pipe), *words]
    return subprocess.Popen(child, pass_fds=[pipe])


def _wait_for_change(
    folder: Path, seen: Mapping[Path, tuple[int, int]], process: subprocess.Popen[bytes]
) -> None:
    told = False
    last = seen
    while True:
        time.sleep(LOOK_INTERVAL)
        if process.poll() is not None and not told:
            told = True
            say("The bot has ended; it starts again when a file changes. Ctrl-C ends this.")
        before, last = last, _stamps(folder)
        # What is being written is taken when it is whole: when it was the same twice.
        if last != seen and last == before:
            return


def _stop(process: subprocess.Popen[bytes]) -> int:
    """End the bot's process as Ctrl-C does; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE + 1)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _stamps(folder: Path) -> Mapping[Path, tuple[int, int]]:
    found = {}
    for path in _files(folder):
        try:
            state = path.stat()
        except OSError:
            continue
        found[path] = (state.st_mtime_ns, state.st_size)
        if len(found) == MOST_FILES:
            break
    return found


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
        elif entry.suffix in (".py", ".yaml", ".yml"):
            yield entry
