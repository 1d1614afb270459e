"""Writes the records of calls to files, in a thread of its own: a slow disk delays no call."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO

from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay.format import End, Line, dump
from fishjam_agents.observe.replay.recorder import CallRecord, Redact, redacted
from fishjam_agents.turns.settings import TurnSettings

logger = logging.getLogger(__name__)

BACKLOG = 20_000
"""Lines that may wait for the disk, of all calls together. A record that finds more waiting ends there."""
EXIT_DEADLINE = 5.0
"""Seconds that the end of the process waits for what is still to be written."""


class _File:
    """One file: opened, written and closed in the writer's thread. Trouble ends it with one warning."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given_up = False
        self._stream: TextIO | None = None

    def write(self, line: Line) -> None:
        """Write a line; the last one closes the file."""
        if self.given_up:
            # What is still in its buffer is lost either way.
            with suppress(OSError):
                self._close()
            return
        try:
            if self._stream is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self.path.open("w", encoding="utf-8")
            self._stream.write(dump(line))
            # What a killed process leaves behind should reach as far as possible.
            self._stream.flush()
            if isinstance(line, End):
                self._close()
        except OSError as error:
            reason = error.strerror or str(error)
            self.give_up(f"{reason}: the call goes on without it; check the folder and the space left")

    def give_up(self, why: str) -> None:
        """Write no more of this call."""
        self.given_up = True
        logger.warning("The record %s ends here (%s)", self.path, why)

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _Writer:
    """The thread of this process that writes records; begun with the first of them."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[_File, Line] | threading.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, file: _File, line: Line) -> None:
        """Have a line written some time."""
        if file.given_up:
            return
        if self._queue.qsize() >= BACKLOG:
            file.give_up("the disk is too slow: write to another one")
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="call-records", daemon=True)
            self._thread.start()
            atexit.register(self._finish)
        self._queue.put((file, line))

    def wait(self, timeout: float) -> bool:
        """Wait until all that was put so far is written, at most `timeout` seconds; whether it is."""
        if self._thread is None:
            return True
        written = threading.Event()
        self._queue.put(written)
        return written.wait(timeout)

    def _finish(self) -> None:
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(EXIT_DEADLINE)

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            if isinstance(entry, threading.Event):
                entry.set()
            else:
                file, line = entry
                file.write(line)


_writer = _Writer()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CallRecorder:
    """Writes a `call.jsonl` of every call into a folder: `20261121T080512Z-1a2b3c4d.jsonl`.

    Give it to a pipeline: `bot.recorder = CallRecorder("calls")`. What cannot be written is a warning in the
    log; the call goes on. Part of `pipeline.recorder.Recorder`.

    Args:
        folder: Where to; made when the first call begins.
        redact: Whether words are as the bot's `redact` leaves them.
        now: The time of day, for the name of the file.
    """

    def __init__(
        self, folder: str | Path, *, redact: bool = True, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.folder = Path(folder)
        self.redact = redact
        self._now = now

    def open(
        self,
        call: str,
        turns: TurnSettings,
        hearing: HearingSettings,
        redact: Redact | None = None,
        also: Callable[[Line], None] | None = None,
    ) -> CallRecord:
        """Begin the record of a call.

        Args:
            call: Its id.
            turns: Its settings of turn-taking.
            hearing: Its settings of hearing.
            redact: The bot's `redact` (`pipeline.recorder.Recorder.open`).
            also: Takes every line, too, as it may be shown.
        """
        now = self._now()
        file = _File(self.folder / f"{now:%Y%m%dT%H%M%SZ}-{call}.jsonl")
        begun = now.isoformat(timespec="seconds")

        def take(line: Line) -> None:
            shown = redacted(line, redact)
            _writer.put(file, shown if self.redact else line)
            if also is not None:
                also(shown)

        return CallRecord(take, call, turns, hearing, begun)

    def wait(self, timeout: float = EXIT_DEADLINE) -> bool:
        """Wait until what was recorded so far is written; blocks, so call it from outside of calls.

        Returns:
            Whether it was, within `timeout` seconds.
        """
        return _writer.wait(timeout)
