"""The lines of a `call.jsonl`: what the turn machines of a call were fed, and what they answered.

The first line is the header, the last one says when the call ended; every other one belongs to a microphone.
Numbers that a machine computes with are written in full, so that it computes the same again. Levels are for
people: whole dBFS of the voice band in each frame, and of the noise at the line's end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, get_args

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.json_limits import readable_json
from fishjam_agents.turns.machine import Decision, TurnEvent

FORMAT = "fishjam-agents call"
"""Format in the header of every such file."""
VERSION = 1
"""Of the lines' shape; a reader refuses any other."""
FRAMES = 50
"""Decisions in a line at most: one second."""

EVENTS: Mapping[str, type[TurnEvent]] = {kind.__name__: kind for kind in get_args(TurnEvent)}
"""Events of a machine by the names that lines give them."""


class Weighed(NamedTuple):
    """Decision on one frame, as a machine got it. Part of `turns.machine.Decision`."""

    score: float
    tail: bool
    snr: float

    @property
    def voiced(self) -> bool:
        """True if the score is above zero."""
        return self.score > 0.0


@dataclass(frozen=True, slots=True)
class Header:
    """The first line.

    Attributes:
        call: Id of the call.
        package: Version of fishjam_agents that wrote the file.
        begun: When the call began, ISO 8601 in UTC; empty where that is of no interest.
        zero: What has to be added to the times of the file to get those of the call's timeline, seconds.
        turns: The settings of turn-taking, all of them.
        hearing: The settings of hearing, all of them.
        redacted: Whether words are as the bot's `redact` left them.
    """

    call: str
    package: str
    turns: Mapping[str, Any]
    hearing: Mapping[str, Any]
    begun: str = ""
    zero: float = 0.0
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A microphone is heard for the first time.

    Attributes:
        microphone: Its number in the file, from 1.
        peer: Whose it is; None for a mix.
        track: Id of its track.
        start: Sum of scores that makes a suspicion (`TurnMachine`).
    """

    key: ClassVar[str] = "track"
    microphone: int
    peer: str | None
    track: str
    start: float


@dataclass(frozen=True, slots=True)
class Frames:
    """Decisions on successive frames; only the last may have brought events.

    Attributes:
        microphone: Whose.
        at: Media time at the end of each frame.
        bot: Whether the bot was speaking.
        decisions: One for each frame.
        events: What the machine answered.
    """

    key: ClassVar[str] = "score"
    microphone: int
    at: Sequence[float]
    bot: bool
    decisions: Sequence[Decision]
    events: Sequence[TurnEvent] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """No packets.

    Attributes:
        microphone: Whose.
        durations: Seconds, one for each time the machine was told.
        idle: The machine followed no sound: the one duration is the sum of many.
        events: What the machine answered to the last.
    """

    key: ClassVar[str] = "silence"
    microphone: int
    durations: Sequence[float]
    idle: bool
    events: Sequence[TurnEvent] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A machine was told by somebody else than its audio (`turns.decision_log.COMMANDS`).

    Attributes:
        microphone: Whose.
        name: What to do.
        arguments: By their names.
        events: What the machine answered.
    """

    key: ClassVar[str] = "command"
    microphone: int
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[TurnEvent] = ()


@dataclass(frozen=True, slots=True)
class End:
    """The last line of a whole file: the call ended at `at`, call time in seconds."""

    key: ClassVar[str] = "end"
    at: float


Line = Header | Opened | Frames | Silence | Command | End


def dump(line: Line) -> str:
    """A line as its text, the newline included."""
    return readable_json(_PLAIN[type(line)](line), separators=(",", ":")) + "\n"


def _header(line: Header) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, **{f.name: getattr(line, f.name) for f in fields(line)}}


def _opened(line: Opened) -> dict[str, Any]:
    return {item.name: getattr(line, item.name) for item in fields(line)}


def _frames(line: Frames) -> dict[str, Any]:
    decisions = line.decisions
    plain: dict[str, Any] = {
        "microphone": line.microphone,
        "at": _times(line.at),
        "bot": line.bot,
        "score": [_short(decision.score) for decision in decisions],
        "tail": "".join("1" if decision.tail else "0" for decision in decisions),
        "snr": [_short(decision.snr) for decision in decisions],
    }
    if hasattr(decisions[0], "level"):
        plain["level"] = [round(getattr(decision, "level", 0.0)) for decision in decisions]
    if hasattr(decisions[-1], "noise"):
        plain["noise"] = round(getattr(decisions[-1], "noise", 0.0))
    return _with_events(plain, line.events)


def _silence(line: Silence) -> dict[str, Any]:
    durations: Any = line.durations[0] if line.idle else list(line.durations)
    return _with_events({"microphone": line.microphone, "silence": durations}, line.events)


def _command(line: Command) -> dict[str, Any]:
    plain = {"microphone": line.microphone, "command": line.name, **line.arguments}
    return _with_events(plain, line.events)


def _end(line: End) -> dict[str, Any]:
    return {"end": line.at}


_PLAIN: Mapping[type[Any], Any] = {
    Header: _header,
    Opened: _opened,
    Frames: _frames,
    Silence: _silence,
    Command: _command,
    End: _end,
}


def _times(at: Sequence[float]) -> float | list[float | None]:
    """The first time alone where every frame ends 0.02 s after the one before; else None where one does."""
    shown = [None if after == before + FRAME_SECONDS else after for before, after in pairwise(at)]
    return [at[0], *shown] if any(time is not None for time in shown) else at[0]


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def _with_events(plain: dict[str, Any], events: Sequence[TurnEvent]) -> dict[str, Any]:
    if events:
        plain["events"] = [
            {
                "event": type(event).__name__,
                **{name: value for name, value in _told(event) if value is not None},
            }
            for event in events
        ]
    return plain


def _told(event: TurnEvent) -> list[tuple[str, Any]]:
    return [(item.name, getattr(event, item.name)) for item in fields(event)]
