"""Ctrl-C, SIGTERM and a closed terminal: the first asks the program to leave, the second ends it at once."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fishjam_agents.cli import INTERRUPTED

ECHO = 0.5
"""Seconds in which a further signal is the same one again. A launcher (`uv run`, a shell, a supervisor)
passes on to the program what the whole process group was sent, so one Ctrl-C may arrive twice."""


@contextmanager
def interrupts(leave: Callable[[], None]) -> Iterator[None]:
    """Call `leave` on the running loop at the first SIGINT, SIGTERM or SIGHUP; a later one ends the process.

    A SIGHUP that is ignored, as under `nohup`, stays ignored.
    """
    loop = asyncio.get_running_loop()
    asked_at: float | None = None

    def arrived() -> None:
        nonlocal asked_at
        if asked_at is None:
            asked_at = time.monotonic()
            leave()
        else:
            again(0, None)

    def again(number: int, frame: FrameType | None) -> None:
        if asked_at is not None and time.monotonic() - asked_at > ECHO:
            with suppress(OSError):
                sys.stdout.flush()
            # Nothing may hold this one up: no cleanup, no exit handler, no thread.
            os._exit(INTERRUPTED)

    numbers = [signal.SIGINT, signal.SIGTERM]
    # Windows has none.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def arrived_in_main_thread(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(arrived)

    try:
        for number in numbers:
            loop.add_signal_handler(number, arrived)
        own_handlers = True
    except NotImplementedError:
        # Windows: its event loops know no signals.
        own_handlers = False
        for number in numbers:
            signal.signal(number, arrived_in_main_thread)
    try:
        yield
    finally:
        for number in numbers:
            if own_handlers:
                loop.remove_signal_handler(number)
            signal.signal(number, before[number] if asked_at is None else again)
            if asked_at is not None:
                # The echo of the one that ended this may come while the interpreter does, which puts back
                # the default that kills, except where a signal is ignored.
                atexit.register(signal.signal, number, signal.SIG_IGN)
