"""Reads a `call.jsonl` back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.errors import ConfigError
from fishjam_agents.observe.replay.format import (
    EVENTS,
    FORMAT,
    VERSION,
    Command,
    End,
    Frames,
    Header,
    Opened,
    Silence,
    Weighed,
)
from fishjam_agents.observe.replay.settings import LostObjectError, settings_of
from fishjam_agents.turns.decision_log import COMMANDS, OPTIONAL
from fishjam_agents.turns.machine import TurnEvent
from fishjam_agents.turns.settings import TurnSettings

Input = Frames | Silence | Command


class RecordError(ConfigError):
    """A file is not the record of a call that this version reads."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A call as it was written down.

    Attributes:
        source: The file.
        header: Its first line.
        microphones: Who was heard, by the numbers that inputs give.
        inputs: What the turn machines were fed, in order.
        ended: Call time at which the call ended; None where the file stops before: a crashed call.
        cut: Whether the last line was written in part and left out.
    """

    source: Path
    header: Header
    microphones: Mapping[int, Opened]
    inputs: Sequence[Input]
    ended: float | None
    cut: bool

    def turns(self, changes: Mapping[str, Any] | None = None) -> TurnSettings:
        """The settings of turn-taking it was recorded with.

        Args:
            changes: Values that replace some of them, by name.

        Raises:
            ConfigError: One was an object that no file can hold, and is not replaced; or they do not go
                together.
        """
        try:
            return settings_of(self.header.turns, changes)
        except LostObjectError as error:
            raise ConfigError(f"{self.source}: {error}: set turns.{error.setting}") from error
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def name(self, microphone: int) -> str:
        """Return the name of a microphone: its peer, with the track where the peer has several."""
        opened = self.microphones[microphone]
        if opened.peer is None:
            return opened.track
        others = [other for other in self.microphones.values() if other.peer == opened.peer]
        return opened.peer if len(others) == 1 else f"{opened.peer} ({opened.track}, {microphone})"


def read_recording(path: str | Path) -> Recording:
    """Read the record of a call.

    A last line that was not written to its end is left out (`Recording.cut`).

    Raises:
        RecordError: The file cannot be read, or is no such record.
    """
    source = Path(path)
    try:
        content = source.read_bytes()
    except FileNotFoundError as error:
        raise RecordError(f"{source}: there is no such file: check the path") from error
    except IsADirectoryError as error:
        raise RecordError(f"{source} is a folder: name the file in it") from error
    except OSError as error:
        raise RecordError(f"{source} cannot be read ({error.strerror}): check it") from error
    lines = content.split(b"\n")
    # Every line ends with a newline: what follows the last one was cut.
    rest = lines.pop()
    reader = _Reader(source)
    for number, line in enumerate(lines, 1):
        reader.take(number, line)
    return reader.finish(cut=bool(rest))


class _Reader:
    def __init__(self, source: Path) -> None:
        self._source = source
        self._number = 1
        self._header: Header | None = None
        self._microphones: dict[int, Opened] = {}
        self._inputs: list[Input] = []
        self._ended: float | None = None

    def _fail(self, what: str, advice: str = "give the file as it was written") -> NoReturn:
        raise RecordError(f"{self._source}:{self._number}: {what}: {advice}")

    def finish(self, *, cut: bool) -> Recording:
        if self._header is None:
            self._number = 1
            self._fail("this is no record of a call", "give a call.jsonl")
        return Recording(self._source, self._header, self._microphones, self._inputs, self._ended, cut)

    def take(self, number: int, line: bytes) -> None:
        self._number = number
        plain = self._parse(line)
        if self._header is None:
            self._take_header(plain)
        elif self._ended is not None:
            self._fail("something follows the end of the call")
        elif End.key in plain:
            self._ended = self._number_of(plain, "end")
        else:
            self._take_line(plain)

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError):
            plain = None
        if isinstance(plain, dict):
            return plain
        if self._header is None:
            self._fail("this is no record of a call", "give a call.jsonl")
        self._fail("the line is damaged")

    def _take_header(self, plain: dict[str, Any]) -> None:
        if plain.pop("format", None) != FORMAT:
            self._fail("this is no record of a call", "give a call.jsonl")
        version = plain.pop("version", None)
        if version != VERSION:
            package = plain.get("package")
            self._fail(
                f"the record has version {version!r}, this fishjam_agents reads {VERSION}",
                f"replay it with the fishjam_agents that wrote it ({package})",
            )
        self._header = self._made(Header, plain)
        try:
            settings_of(self._header.turns)
        except LostObjectError:
            # A replay may be given another object in its place.
            return
        except (TypeError, ValueError) as error:
            self._fail(str(error), "replay it with the version that wrote it")

    def _take_line(self, plain: dict[str, Any]) -> None:
        if Opened.key in plain:
            opened = self._made(Opened, plain)
            if opened.microphone in self._microphones:
                self._fail(f"microphone {opened.microphone} is there twice")
            self._microphones[opened.microphone] = opened
            return
        microphone = plain.pop("microphone", None)
        if not isinstance(microphone, int) or microphone not in self._microphones:
            self._fail(f"there is no microphone {microphone!r}")
        events = tuple(self._event(event) for event in self._list(plain.pop("events", []), dict))
        if Frames.key in plain:
            self._inputs.append(self._frames(microphone, plain, events))
        elif Silence.key in plain:
            durations = plain["silence"]
            idle = not isinstance(durations, list)
            values = self._numbers([durations] if idle else durations)
            self._inputs.append(Silence(microphone, values, idle, events))
        elif Command.key in plain:
            self._inputs.append(self._command(microphone, plain, events))
        else:
            self._fail("the line is of no known kind")

    def _frames(self, microphone: int, plain: dict[str, Any], events: tuple[TurnEvent, ...]) -> Frames:
        scores, snrs = self._numbers(plain["score"]), self._numbers(plain.get("snr"))
        tails, bot = plain.get("tail"), plain.get("bot")
        if not isinstance(tails, str) or not isinstance(bot, bool) or set(tails) - {"0", "1"}:
            self._fail("the line is damaged")
        if not len(scores) == len(snrs) == len(tails) > 0:
            self._fail("the line has not as many of one thing as of the other")
        rows = zip(scores, tails, snrs, strict=True)
        decisions = [Weighed(score, tail == "1", snr) for score, tail, snr in rows]
        return Frames(microphone, self._times(plain.get("at"), len(scores)), bot, decisions, events)

    def _times(self, value: Any, count: int) -> list[float]:
        shown = value if isinstance(value, list) else [value] + [None] * (count - 1)
        if len(shown) != count:
            self._fail("the line has not as many of one thing as of the other")
        times = self._numbers(shown[:1])
        for time in shown[1:]:
            times += [times[-1] + FRAME_SECONDS] if time is None else self._numbers([time])
        return times

    def _command(self, microphone: int, plain: dict[str, Any], events: tuple[TurnEvent, ...]) -> Command:
        name = plain.pop("command")
        if not isinstance(name, str) or name not in COMMANDS:
            self._fail(f"there is no command {name!r}")
        required = COMMANDS[name].keys() - OPTIONAL.get(name, frozenset())
        if not required <= plain.keys() <= COMMANDS[name].keys():
            self._fail(f"{name} wants {' and '.join(COMMANDS[name]) or 'nothing'}, not {' and '.join(plain)}")
        arguments = {key: self._valid(COMMANDS[name][key], value) for key, value in plain.items()}
        return Command(microphone, name, arguments, events)

    def _event(self, plain: dict[str, Any]) -> TurnEvent:
        name = plain.pop("event", None)
        kind = EVENTS.get(name) if isinstance(name, str) else None
        if kind is None:
            self._fail("there is an event of no known kind")
        event: TurnEvent = self._made(kind, plain)
        return event

    # --- values ---

    def _made(self, kind: type[Any], plain: dict[str, Any]) -> Any:
        unknown = plain.keys() - {item.name for item in fields(kind)}
        if unknown:
            self._fail(
                f"{sorted(unknown)[0]!r} is not known here", "replay it with the version that wrote it"
            )
        return self._valid(kind, plain)

    def _valid(self, kind: Any, value: Any) -> Any:
        try:
            valid = _adapter(kind).validate_python(value)
        except ValidationError as error:
            found = error.errors()[0]
            self._fail(f"{'.'.join(map(str, found['loc'])) or 'a value'} is wrong ({found['msg']})")
        return valid

    def _list(self, value: Any, of: Any) -> list[Any]:
        if not isinstance(value, list) or not all(isinstance(item, of) for item in value):
            self._fail("the line is damaged")
        return value

    def _numbers(self, value: Any) -> list[float]:
        try:
            numbers = [float(number) for number in self._list(value, int | float)]
        except OverflowError:
            self._fail("there is a number without end")
        if not all(map(math.isfinite, numbers)):
            self._fail("there is a number without end")
        return numbers

    def _number_of(self, plain: Mapping[str, Any], key: str) -> float:
        return self._numbers([plain.get(key)])[0]


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
