"""Emulated services as programs: `python -m VENDOR.emulator COMMAND...` runs COMMAND against one.

Every vendor's emulator has this command line, so that an example, a demo or a test of a program needs no key
and no network. Yours can have it, too (docs/backends.md).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import TypeAlias

Service: TypeAlias = Callable[[argparse.Namespace], AbstractAsyncContextManager[Mapping[str, str]]]
"""Starts the service as the options say; entering it gives the environment variables that lead to it."""

GRACE = 10.0
"""Seconds that COMMAND has to end after a SIGTERM, or a second signal, before it is killed."""
FAILED = 1
CANNOT_RUN = 126
NOT_FOUND = 127
"""Exit codes for a COMMAND that cannot be run, or is not there, as env(1) and shells have them."""
SIGNALLED = 128
"""To which the number of a signal is added: the exit code for a COMMAND that it ended."""
_LAST_PORT = 65535


def run_emulator(
    service: Service,
    *,
    module: str,
    what: str,
    options: Callable[[argparse.ArgumentParser], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run COMMAND with the service's variables, or print them and serve until Ctrl-C.

    Signals reach COMMAND: Ctrl-C from the terminal itself, others are passed on. The service ends after it.

    Args:
        service: The emulated service.
        module: What follows `python -m`.
        what: What is emulated, like "Gemini Live".
        options: Adds options of its own, which come before COMMAND.
        arguments: The words after the program's name; None takes them from `sys.argv`.

    Returns:
        The exit code: COMMAND's own, 128 and the signal's number if one ended it, 127 if there is no such
        program, 126 if it cannot be run, 1 if the service cannot be started. Without COMMAND 0 at Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        usage="%(prog)s [options] COMMAND...",
        description=f"Runs COMMAND with the variables that lead to {what} as this machine emulates it, for "
        f"example python -m {module} python -m fishjam_agents run config.yaml. Without COMMAND it prints the "
        "variables and serves until Ctrl-C.",
    )
    if options is not None:
        options(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    try:
        return asyncio.run(_serve(service(given), command, what))
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT


def port(text: str) -> int:
    """The `type` of an option that is a port; 0 is any that is free.

    Raises:
        argparse.ArgumentTypeError: There is no such port.
    """
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: give a number from 0 to {_LAST_PORT}")
    return int(text)


async def _serve(
    service: AbstractAsyncContextManager[Mapping[str, str]], command: Sequence[str], what: str
) -> int:
    with _signals() as signals:
        try:
            variables = await service.__aenter__()
        except OSError as error:
            return _refuse(FAILED, f"{what} cannot be emulated ({error.strerror or error}): use another port")
        try:
            if command:
                return await _run(command, {**os.environ, **variables}, signals)
            for name, value in variables.items():
                sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
            sys.stdout.flush()
            sys.stderr.write(f"{what} is emulated until Ctrl-C; these variables lead a program there\n")
            await signals.get()
            return 0
        finally:
            await service.__aexit__(*sys.exc_info())


async def _run(command: Sequence[str], environment: Mapping[str, str], signals: asyncio.Queue[int]) -> int:
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        return _refuse(code, f"cannot run {command[0]} ({error.strerror}): give a program with its arguments")
    relay = asyncio.create_task(_relay(process, signals))
    try:
        code = await process.wait()
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
        await _end(process)
    return code if code >= 0 else SIGNALLED - code


async def _relay(process: Process, signals: asyncio.Queue[int]) -> None:
    """Pass signals on, and kill a program that ignores them."""
    asked = False
    patience: float | None = None
    while True:
        try:
            async with asyncio.timeout(patience):
                number = await signals.get()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            return
        if number != signal.SIGINT or not _terminal_told_it():
            with suppress(ProcessLookupError):
                process.send_signal(number)
        patience = GRACE if asked or number != signal.SIGINT else None
        asked = True


def _terminal_told_it() -> bool:
    """Return whether a Ctrl-C came from the terminal, which sends it to all its foreground programs."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


async def _end(process: Process) -> None:
    """Nothing is left behind, whatever ended this program."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextmanager
def _signals() -> Iterator[asyncio.Queue[int]]:
    """The signals that come. Where loops know none (Windows), Ctrl-C ends this program as any other."""
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[int] = asyncio.Queue()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    handled = []
    for number in numbers:
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, came.put_nowait, int(number))
            handled.append(number)
    try:
        yield came
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _refuse(code: int, sentence: str) -> int:
    sys.stderr.write(f"error: {sentence}\n")
    return code
