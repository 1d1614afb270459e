"""The record of a call that can be read while the call goes on."""

from __future__ import annotations

from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay.format import End, Line, dump
from fishjam_agents.observe.replay.recorder import CallRecord, Redact, redacted
from fishjam_agents.observe.replay.writer import CallRecorder
from fishjam_agents.turns.settings import TurnSettings

MAX_BYTES = 16 * 1024 * 1024
"""Size at which a record ends: some hours of one microphone. A replay needs the beginning, not the end."""


class LiveRecorder:
    """Keeps the record of a call in memory, as text that may be shown. Part of `pipeline.recorder.Recorder`.

    Args:
        files: Writes the record to a file, too, if there is one.
    """

    def __init__(self, files: CallRecorder | None = None) -> None:
        self._files = files
        self._record: CallRecord | None = None
        self._lines: list[str] = []
        self._bytes = 0
        self._is_whole = True
        self._is_over = False

    def open(
        self, call: str, turns: TurnSettings, hearing: HearingSettings, redact: Redact | None = None
    ) -> CallRecord:
        """Begin the record of a call (`pipeline.recorder.Recorder.open`)."""
        self._lines, self._bytes = [], 0
        self._is_whole, self._is_over = True, False
        if self._files is None:
            self._record = CallRecord(lambda line: self._take(redacted(line, redact)), call, turns, hearing)
        else:
            self._record = self._files.open(call, turns, hearing, redact, also=self._take)
        return self._record

    def text(self, now: float) -> str | None:
        """The contents of a `call.jsonl` of the call up to now; None where no call has begun.

        Args:
            now: Call time, seconds.
        """
        if self._record is None:
            return None
        if not self._is_over:
            self._record.flush()
        text = "".join(self._lines)
        # One that outgrew its limit stops in mid-call, as that of a killed process does.
        return text + dump(End(now)) if self._is_whole and not self._is_over else text

    def _take(self, line: Line) -> None:
        self._is_over = self._is_over or isinstance(line, End)
        if not self._is_whole:
            return
        text = dump(line)
        if self._bytes + len(text) > MAX_BYTES:
            self._is_whole = False
            return
        self._lines.append(text)
        self._bytes += len(text)
