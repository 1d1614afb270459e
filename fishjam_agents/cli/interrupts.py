"""Ctrl-C, SIGTERM and a closed terminal: the first asks the program to leave, the second ends it at once.

Handlers are Python's own, not the loop's: those of a loop run on it, and so not at all while user code holds
it up. A thread ends a program that was asked to leave and does not.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from fishjam_agents.backends.tracebacks import users_line
from fishjam_agents.cli import INTERRUPTED

if TYPE_CHECKING:
    from fishjam_agents.simulation import StopRequest

ECHO = 0.5
"""Seconds in which a further signal is the same one again. A launcher (`uv run`, a shell, a supervisor)
passes on to the program what the whole process group was sent, so one Ctrl-C may arrive twice."""
PATIENCE = 15.0
"""Seconds from the first signal until the process is ended: a call may take half of them to leave its room,
and servers that do not answer the rest."""

_last_acts: list[Callable[[], None]] = []


@contextmanager
def interrupts(leave: Callable[[], None]) -> Iterator[None]:
    """Call `leave` on the running loop at the first SIGINT, SIGTERM or SIGHUP; a later one ends the process.

    A SIGHUP that is ignored, as under `nohup`, stays ignored.
    """
    loop = asyncio.get_running_loop()
    asked_at: float | None = None

    def arrived(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        if asked_at is None:
            asked_at = time.monotonic()
            end_after(PATIENCE)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(leave)
        elif time.monotonic() - asked_at > ECHO:
            end_now()

    numbers = [signal.SIGINT, signal.SIGTERM]
    # Windows has none.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, arrived) for number in numbers}
    try:
        yield
    finally:
        if asked_at is None:
            for number in numbers:
                signal.signal(number, before[number])
        else:
            for number in numbers:
                # The echo of the one that ended this may come while the interpreter does, which puts back
                # the default that kills, except where a signal is ignored.
                atexit.register(signal.signal, number, signal.SIG_IGN)


@contextmanager
def at_abrupt_end(act: Callable[[], None]) -> Iterator[None]:
    """Have `act` called, too, where the process is ended without its cleanup while the context lasts.

    It is for what a process may not leave behind: the modes of a terminal. It must not wait for anything.
    """
    _last_acts.append(act)
    try:
        yield
    finally:
        _last_acts.remove(act)


@contextmanager
def stop_at_interrupt(stop: StopRequest) -> Iterator[None]:
    """Make `stop` at the first SIGINT or SIGTERM; a later one ends the process.

    Before a call of it has begun, the first is a `KeyboardInterrupt`: there is nothing to keep. User code may
    hold up the calls: then the process is ended after `PATIENCE`. What is done with the calls once they are
    over is given its time.
    """
    asked_at: float | None = None

    def arrived(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        if asked_at is None:
            asked_at = time.monotonic()
            stop.ask()
            if stop.calls:
                end_after(PATIENCE, held_up=lambda: stop.calls > 0)
            elif not stop.begun:
                raise KeyboardInterrupt
        elif time.monotonic() - asked_at > ECHO:
            end_now()

    before = {number: signal.signal(number, arrived) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if asked_at is None:
            for number, handler in before.items():
                signal.signal(number, handler)
        else:
            for number in before:
                # As in `interrupts`: the echo may come while the interpreter ends.
                atexit.register(signal.signal, number, signal.SIG_IGN)


def end_after(seconds: float, held_up: Callable[[], bool] = lambda: True) -> None:
    """End the process if it is still there then, and held up, and say what holds it up."""
    main = threading.main_thread().ident

    def wait() -> None:
        time.sleep(seconds)
        if not held_up():
            return
        frame = None if main is None else sys._current_frames().get(main)
        at = None if frame is None else users_line(frame)
        holds = "" if at is None else f": {at} holds it up"
        print(
            f"error: the program did not end within {seconds:g} s and is ended{holds}",
            file=sys.stderr,
            flush=True,
        )
        end_now()

    threading.Thread(target=wait, name="interrupts", daemon=True).start()


def end_now() -> None:
    """End the process. Nothing holds this up: no cleanup but `at_abrupt_end`, no exit handler, no thread."""
    for act in tuple(_last_acts):
        with suppress(Exception):
            act()
    with suppress(OSError, ValueError, RuntimeError):
        sys.stdout.flush()
    os._exit(INTERRUPTED)
