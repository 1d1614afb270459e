"""Signals of a program that serves rooms for weeks: drain, end, read the configuration again."""

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

from fishjam_agents.cli.interrupts import ECHO, PATIENCE, end_after, end_now


@contextmanager
def service_signals(
    drain: Callable[[], None], stop: Callable[[], None], reload: Callable[[], None]
) -> Iterator[None]:
    """Call these on the running loop when the process is told to.

    The first SIGTERM drains, and a second one stops; SIGINT (Ctrl-C) stops at once. A signal after that ends
    the process. SIGHUP reloads, unless it tells that the terminal was closed, which stops.

    Args:
        drain: Lets calls end by themselves.
        stop: Ends calls now. What is not over `PATIENCE` seconds later is cut off.
        reload: Reads the configuration again.
    """
    loop = asyncio.get_running_loop()
    terminal = _has_terminal()
    asked_at: float | None = None
    stopping = False

    def call(what: Callable[[], None]) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(what)

    def arrived(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at, stopping
        if asked_at is not None and time.monotonic() - asked_at <= ECHO:
            return
        if stopping:
            end_now()
        first = asked_at is None
        asked_at = time.monotonic()
        if first and number == signal.SIGTERM:
            call(drain)
            return
        stopping = True
        end_after(PATIENCE)
        call(stop)

    def hung_up(number: int, frame: FrameType | None) -> None:
        if terminal and not _has_terminal():
            arrived(number, frame)
        else:
            call(reload)

    handlers = {signal.SIGINT: arrived, signal.SIGTERM: arrived}
    # Windows has none.
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = hung_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number in handlers:
            if asked_at is None:
                signal.signal(number, before[number])
            else:
                # An echo may come while the interpreter ends, which puts back the default that kills.
                atexit.register(signal.signal, number, signal.SIG_IGN)


def _has_terminal() -> bool:
    """Return whether a terminal is there; a closed one answers no more."""
    with suppress(OSError, ValueError, AttributeError):
        return os.isatty(sys.__stdin__.fileno())  # type: ignore[union-attr]
    return False
