"""Writes a call down as it happens, in the lines of `format`.

On the path of a frame an object is appended to a list; lines are made and written elsewhere (`writer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, assert_never

from fishjam_agents._version import __version__
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay.format import (
    FRAMES,
    Command,
    End,
    Frames,
    Header,
    Line,
    Opened,
    Silence,
    dump,
)
from fishjam_agents.observe.replay.settings import plain_settings
from fishjam_agents.turns.machine import Decision, TurnEvent
from fishjam_agents.turns.settings import TurnSettings

_SILENCES = 100
"""Silences in a line at most."""
_IDLE_SECONDS = 1.0
"""Silence that changed nothing is summed up to this length."""


Redact = Callable[[str], str | None]
"""Returns the part of a text that may be shown, None for nothing."""


def redacted(line: Line, redact: Redact | None) -> Line:
    """A line with its words as the bot's `redact`, if there is one, leaves them."""
    if redact is None:
        return line
    match line:
        case Header():
            return replace(line, redacted=True)
        case Command(arguments={"text": str(text)}):
            return replace(line, arguments={**line.arguments, "text": redact(text) or ""})
        case Opened() | Frames() | Silence() | Command() | End():
            return line
        case _:
            assert_never(line)


class CallRecord:
    """The record of one call, which its microphones see as `turns.decision_log.DecisionLogs`.

    Args:
        take: Takes every line, in order.
        call: Id of the call.
        turns: Its settings of turn-taking.
        hearing: Its settings of hearing.
        begun: When it began, ISO 8601 in UTC.
    """

    def __init__(
        self,
        take: Callable[[Line], None],
        call: str,
        turns: TurnSettings,
        hearing: HearingSettings,
        begun: str = "",
    ) -> None:
        self._take = take
        self._logs: list[_MachineLog] = []
        take(Header(call, __version__, plain_settings(turns), asdict(hearing), begun))

    def open_log(self, peer: str | None, track: str, start: float) -> _MachineLog:
        """Open the log of a new machine (`turns.decision_log.DecisionLogs.open_log`)."""
        log = _MachineLog(len(self._logs) + 1, self._take)
        self._logs.append(log)
        self._take(Opened(log.microphone, peer, track, start))
        return log

    def flush(self) -> None:
        """Pass on what has been collected of unfinished lines."""
        for log in self._logs:
            log.flush()

    def close(self, at: float) -> None:
        """The call ended at `at`, call time in seconds."""
        self.flush()
        self._take(End(at))


class _MachineLog:
    """One machine's part of the record: a `turns.decision_log.DecisionLog`."""

    __slots__ = ("_bot", "_decisions", "_idle", "_silences", "_take", "_times", "microphone")

    def __init__(self, microphone: int, take: Callable[[Line], None]) -> None:
        self.microphone = microphone
        self._take = take
        self._decisions: list[Decision] = []
        self._times: list[float] = []
        self._bot = False
        self._silences: list[float] = []
        self._idle = False

    def frame(self, decision: Decision, at: float, barge_in: bool, events: Sequence[TurnEvent]) -> None:
        if self._silences or barge_in is not self._bot:
            self.flush()
            self._bot = barge_in
        decisions = self._decisions
        decisions.append(decision)
        self._times.append(at)
        if events or len(decisions) == FRAMES:
            self.flush(events)

    def silence(self, duration: float, idle: bool, events: Sequence[TurnEvent]) -> None:
        silences = self._silences
        if self._decisions or idle is not self._idle:
            self.flush()
            self._idle = idle
            silences = self._silences
        if idle and silences:
            silences[0] += duration
        else:
            silences.append(duration)
        if events or len(silences) == _SILENCES or (idle and silences[0] >= _IDLE_SECONDS):
            self.flush(events)

    def command(self, name: str, arguments: Mapping[str, Any], events: Sequence[TurnEvent]) -> None:
        self.flush()
        self._take(Command(self.microphone, name, arguments, tuple(events)))

    def flush(self, events: Sequence[TurnEvent] = ()) -> None:
        """Pass on what has been collected; `events` are those of its last input."""
        if self._decisions:
            line = Frames(self.microphone, self._times, self._bot, self._decisions, tuple(events))
            self._decisions, self._times = [], []
            self._take(line)
        elif self._silences:
            silence = Silence(self.microphone, self._silences, self._idle, tuple(events))
            self._silences = []
            self._take(silence)


class MemoryRecorder:
    """Keeps the record of a call in memory. Part of `pipeline.recorder.Recorder`."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def open(
        self, call: str, turns: TurnSettings, hearing: HearingSettings, redact: Redact | None = None
    ) -> CallRecord:
        """Begin the record of a call (`pipeline.recorder.Recorder.open`)."""
        lines: list[Line] = []
        self._lines = lines
        return CallRecord(lambda line: lines.append(redacted(line, redact)), call, turns, hearing)

    def text(
        self,
        *,
        zero: float = 0.0,
        names: Mapping[str, str] | None = None,
        tracks: Mapping[str, str] | None = None,
    ) -> str:
        """Return the contents of its file.

        Args:
            zero: What has to be added to its times to get those of the call's timeline, seconds.
            names: Peer ids to what to call them.
            tracks: Track ids to what to call them.
        """
        return "".join(dump(self._shown(line, zero, names or {}, tracks or {})) for line in self._lines)

    def _shown(self, line: Line, zero: float, names: Mapping[str, str], tracks: Mapping[str, str]) -> Line:
        if isinstance(line, Header):
            return replace(line, zero=zero)
        if isinstance(line, Opened):
            peer = None if line.peer is None else names.get(line.peer, line.peer)
            return replace(line, peer=peer, track=tracks.get(line.track, line.track))
        return line
