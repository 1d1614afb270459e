"""Keys of a terminal, one at a time, and the terminal as it was when that is over."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fishjam_agents.cli.interrupts import at_abrupt_end

_LOOK = 0.05
"""Seconds between two looks at the keyboard on Windows, which tells nobody of a key."""
CTRL_C = "\x03"
_OTHER_KEYS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""Sequences of cursor and function keys, and of Alt with another key (ECMA-48, 5.4): none of ours."""


@contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Call `pressed` on the running loop with every key, while the context lasts.

    Ctrl-C stays a signal. Where standard input is no terminal, or this process is in its background, there
    are no keys.

    Yields:
        Whether there are keys.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield False
    elif sys.platform == "win32":
        with _windows_keys(pressed):
            yield True
    else:
        descriptor = sys.stdin.fileno()
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            yield False
            return
        with _posix_keys(descriptor, pressed):
            yield True


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def _windows_keys(pressed: Callable[[str], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def look() -> None:
            nonlocal timer
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key == CTRL_C:
                    signal.raise_signal(signal.SIGINT)
                else:
                    pressed(key)
            timer = loop.call_later(_LOOK, look)

        timer = loop.call_later(_LOOK, look)
        try:
            yield
        finally:
            timer.cancel()

else:
    import termios
    import tty

    @contextmanager
    def _posix_keys(descriptor: int, pressed: Callable[[str], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        before = termios.tcgetattr(descriptor)

        def enter() -> None:
            # No echo, no waiting for the end of a line; signals stay (termios(3), ISIG). Nothing waits for
            # output, which Ctrl-S may have stopped.
            tty.setcbreak(descriptor, termios.TCSANOW)

        def restore() -> None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(descriptor, termios.TCSANOW, before)

        def readable() -> None:
            try:
                text = os.read(descriptor, 64)
            except OSError:
                text = b""
            if not text:
                # The terminal is closed.
                loop.remove_reader(descriptor)
            for key in _OTHER_KEYS.sub("", text.decode(errors="ignore")):
                pressed(key)

        with at_abrupt_end(restore):
            enter()
            # Whoever stops this with Ctrl-Z and goes on has a shell that changed the modes meanwhile.
            continued = signal.signal(signal.SIGCONT, lambda number, frame: enter())
            loop.add_reader(descriptor, readable)
            try:
                yield
            finally:
                loop.remove_reader(descriptor)
                signal.signal(signal.SIGCONT, continued)
                restore()
