"""A voice in a process of its own: sentences go in as lines of JSON, sound comes out in frames.

Nothing here knows what speaks there. `start` and `speak` block, and are called one at a time; `close` is for
any thread.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import BackendError
from fishjam_agents_local.voice import Listener

logger = logging.getLogger(__name__)

START = 30.0
"""Seconds for loading a voice; it takes one."""
STALL = 8.0
"""Seconds for a piece of a sentence, which takes a third of one at most."""
BACKOFF = Backoff(0.5, 30.0, jitter=0.0)
STOP = 3.0
"""Seconds for ending a sentence that nobody wants; it takes 0.015, and to start anew takes longer."""
_LONGEST_FRAME = 1 << 24
_SHOWN = 200
_HEAD = struct.Struct(">cI")


class WorkerProcess:
    """A program that speaks, started when it is needed and again when it has died.

    After a death it is started at once; one that dies again and again is left alone for longer each time.

    Args:
        what: What speaks there, as messages name it: "Piper".
        command: The program. It writes a frame `R` when it is ready, and ends when its input does.
        advice: What to do if it cannot start.
        stall: Seconds without a frame in a sentence after which it is killed.
        backoff: Seconds it is left alone after deaths in a row.

    Attributes:
        stop_within: Seconds for ending a sentence that nobody wants, after which it is killed.
        ready: What it said when it was ready.
    """

    def __init__(
        self,
        what: str,
        command: Sequence[str],
        *,
        advice: str,
        stall: float = STALL,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._what = what
        self._command = command
        self._advice = advice
        self._stall = stall
        self.stop_within = STOP
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._sending = threading.Lock()
        # Sentences have numbers: who stops one must not stop, or kill, the next.
        self._sentence = 0
        self._speaking: int | None = None
        self._deaths = 0
        self._rests_until = 0.0
        self.ready: Mapping[str, Any] = {}

    @property
    def pid(self) -> int | None:
        """Id of the process; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def speaks(self) -> bool:
        """True while a sentence is being made."""
        return self._speaking is not None

    def start(self) -> None:
        """Start the program if it does not run, and wait until it is ready.

        Raises:
            BackendError: It cannot start, or is left alone for a while after it has died.
        """
        if self.pid is not None:
            return
        self._buried()
        rest = self._rests_until - time.monotonic()
        if rest > 0:
            raise BackendError(
                f"{self._what} has ended {self._deaths} times in a row: it is started again in {rest:.1f} s, "
                "its own words are on standard error",
                retryable=True,
            )
        try:
            # In a group of its own it does not get the terminal's Ctrl-C: a goodbye may need it. In a session
            # of its own its priority would count for nothing outside of that (autogroup, sched(7)).
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0 if os.name == "posix" else None,
            )
        except OSError as error:
            raise BackendError(f"{self._what} cannot be started ({error}): {self._advice}") from error
        self._process = process
        with self._killed_after(START, process) as killed:
            kind, content = _frame(process)
        if kind == b"R":
            self.ready = json.loads(content)
            return
        self._end(process)
        if kind == b"F":
            # What it says of itself is the user's to mend: the same is said however often it is started.
            raise BackendError(
                f"{self._what} cannot speak ({_shown(content)}): {self._advice}", failure="config"
            )
        self._note_death()
        cause = f"was not ready within {START:g} s" if killed.is_set() else "ended before it was ready"
        raise BackendError(f"{self._what} {cause}: {self._advice}", retryable=True)

    def speak(self, request: Mapping[str, Any], listener: Listener) -> None:
        """Have a sentence spoken, to its end or until the listener has stopped.

        Args:
            request: What the program needs of it.
            listener: Gets the sound as it comes.

        Raises:
            BackendError: It could not be spoken to its end.
        """
        self.start()
        process = self._process
        if process is None or listener.stopped:
            return
        with self._sending:
            self._sentence += 1
            self._speaking = sentence = self._sentence
            _write(process, request)
        try:
            listener.on_stop(partial(self._stop, process, sentence))
            self._listen(process, listener)
        finally:
            with self._sending:
                self._speaking = None

    def _stop(self, process: subprocess.Popen[bytes], sentence: int) -> None:
        """End a sentence if it is being spoken; the process is killed if that takes it too long."""
        with self._sending:
            if self._speaking != sentence:
                return
            _write(process, {"stop": True})

        def insist() -> None:
            with self._sending:
                late = self._speaking == sentence
            if late:
                process.kill()

        timer = threading.Timer(self.stop_within, insist)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the program."""
        with self._sending:
            process, self._process = self._process, None
        if process is not None:
            self._end(process)

    def _listen(self, process: subprocess.Popen[bytes], listener: Listener) -> None:
        while True:
            with self._killed_after(self._stall, process) as killed:
                kind, content = _frame(process)
            match kind:
                case b"S":
                    listener.put(content)
                case b"E":
                    self._deaths = 0
                    return
                case b"F":
                    raise BackendError(
                        f"{self._what} could not speak a sentence ({_shown(content)}): try again",
                        retryable=True,
                    )
                case b"":
                    self._end(process)
                    self._note_death()
                    cause = f"stalled for {self._stall:g} s" if killed.is_set() else "ended"
                    raise BackendError(
                        f"{self._what} {cause} in a sentence: it is started anew", retryable=True
                    )
                case _:
                    self._end(process)
                    self._note_death()
                    raise BackendError(
                        f"{self._what} wrote something that is no frame ({_shown(content)}): {self._advice}"
                    )

    def _buried(self) -> None:
        """Take leave of a process that ended while nobody spoke."""
        process = self._process
        if process is not None:
            self._end(process)
            self._note_death()

    def _note_death(self) -> None:
        self._deaths += 1
        if self._deaths > 1:
            self._rests_until = time.monotonic() + self._backoff.delay(self._deaths - 1)
        logger.warning("the process of %s has ended", self._what)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if self._process is process:
            self._process = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    @contextmanager
    def _killed_after(self, seconds: float, process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
        """Kill a process that is silent for too long, so that reading ends; set says that it was."""
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield killed
        finally:
            timer.cancel()


def _frame(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Read a frame; an empty kind if the process has ended. Content of what is no frame is what there is."""
    head = _read(process, _HEAD.size)
    if len(head) < _HEAD.size:
        return b"", b""
    kind, length = _HEAD.unpack(head)
    if kind not in (b"R", b"S", b"E", b"F") or length > _LONGEST_FRAME:
        return b"?", head
    content = _read(process, length)
    return (kind, content) if len(content) == length else (b"", b"")


def _read(process: subprocess.Popen[bytes], length: int) -> bytes:
    assert process.stdout is not None
    data = b""
    while len(data) < length:
        try:
            piece = process.stdout.read(length - len(data))
        except (OSError, ValueError):
            return data
        if not piece:
            return data
        data += piece
    return data


def _write(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    # One that has ended shows it where its answer is read.
    with suppress(OSError, ValueError):
        process.stdin.write(json.dumps(message).encode() + b"\n")


def _shown(content: bytes) -> str:
    return " ".join(content[:_SHOWN].decode(errors="replace").split())
