"""Log lines a person can read: what happened, in which call, in which room, to whom.

What people and bots say appears at DEBUG, and at INFO only where that is asked for (`WORDS`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import TextIO, assert_never

from fishjam_agents.errors import ConfigError
from fishjam_agents.event_base import person, short_id
from fishjam_agents.events import Event, ToolCalled, ToolStarted, UserText, UserTranscript
from fishjam_agents.observe.json_log import WORDS, JsonFormatter
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.observe.utterances import Utterances
from fishjam_agents.printable import printable
from fishjam_agents.secrecy import conceal

logger = logging.getLogger("fishjam_agents.call")

TALKATIVE = (
    "aioice",
    "aiortc",
    "asyncio",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "openai",
    "uvicorn",
    "websockets",
)
"""Libraries whose own details hide the call's, and at DEBUG print headers with tokens in them."""


WIDTH = 100
"""Columns that lines are kept to, as far as that leaves out nothing that is not said elsewhere."""
_TIME = len("12:03:44.120")
_HEAD = _TIME + len(" WARNING ")
_PLAIN, _DIM = "\x1b[0m", "\x1b[2m"
_SHADES = ((logging.ERROR, "\x1b[1;31m"), (logging.WARNING, "\x1b[33m"), (logging.INFO, "\x1b[32m"))

log_room: ContextVar[str | None] = ContextVar("log_room", default=None)
"""Id of the room whose call a task works for: log lines that name no room themselves get this one."""
log_bot: ContextVar[str | None] = ContextVar("log_bot", default=None)
"""Name of the bot of that call, for the lines that have a field for it."""


class EventLog:
    """An observer that logs each event of a call.

    Args:
        call: Id of the call, or what tells it: a pipeline knows its id only while it runs.
        room: Id of the room.
        names: Peer ids to what to call them in the sentence.
        bot: Name of the bot.
    """

    def __init__(
        self,
        call: str | Callable[[], str | None],
        room: str,
        names: Mapping[str, str] = MappingProxyType({}),
        bot: str | None = None,
    ) -> None:
        self._call = call
        self._bot = bot
        self._room = room
        self._names = names
        self._utterances = Utterances()

    def __call__(self, event: Event) -> None:
        """Log one event; words of a reply when it is complete."""
        for one in self._utterances.take(event):
            self._log(one)

    def _log(self, event: Event) -> None:
        level = event.log_level()
        words = WORDS.isEnabledFor(logging.INFO)
        if words and isinstance(event, UserTranscript | UserText):
            level = logging.INFO
        if logger.isEnabledFor(level):
            call = self._call if isinstance(self._call, str) else self._call()
            peer = getattr(event, "peer", None)
            extra = {"call": call, "room": self._room, "bot": self._bot, "peer": peer, "call_event": event}
            if peer is not None and peer in self._names:
                event = replace(event, peer=self._names[peer])  # type: ignore[call-arg]
            # What tools are given and answer is no talk.
            talks = words and not isinstance(event, ToolStarted | ToolCalled)
            told = event.sentence(words=talks or logger.isEnabledFor(logging.DEBUG))
            extra["peer_told"] = peer is not None and person(self._names.get(peer, peer)) in told
            # Also for the programs that format their lines themselves.
            logger.log(level, "%s", printable(told), extra=extra)


class LineFormatter(logging.Formatter):
    """`12:03:44.120 INFO    the bot replies  [call 1a2b3c4d room r1 peer p1]`.

    Lines that belong to no call end with their logger's name instead, unless it is ours. Long ids are whole
    where `debug` is logged, and else as long as tells them apart; where the line would be wider than `WIDTH`,
    a peer that the sentence names is not named again, and a room stands for its call.

    Args:
        secrets: What is never to stand in a line, and what to say in its place.
        colour: Whether levels are coloured, and times and ids dimmed (ECMA-48, SGR).
    """

    def __init__(self, secrets: Mapping[str, str] = MappingProxyType({}), *, colour: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s%(where)s", "%H:%M:%S")
        self._secrets = secrets
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, followed by its traceback if it has one."""
        record.message = record.getMessage()
        known = {
            name: str(value) for name in ("call", "room", "peer") if (value := getattr(record, name, None))
        }
        where = _where(known, record)
        if not logging.getLogger().isEnabledFor(logging.DEBUG):
            where = _short(known, record)
        record.where = where
        record.asctime = self.formatTime(record, self.datefmt)
        line = self._told(self.formatMessage(record))
        if self._colour:
            line = _coloured(line, record, self._told(where))
        traceback = [self.formatException(record.exc_info)] if record.exc_info else []
        traceback += [self.formatStack(record.stack_info)] if record.stack_info else []
        return "\n".join([line, *map(self._told, traceback)])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without its traceback. Further lines are indented: none can pass for a record."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def _told(self, text: str) -> str:
        """Text as it may stand in a line: what a terminal would obey is escaped."""
        return printable(conceal(text, self._secrets), lines=True)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time of day with milliseconds."""
        return f"{super().formatTime(record, datefmt)}.{int(record.msecs):03d}"


def _where(known: Mapping[str, str], record: logging.LogRecord) -> str:
    where = " ".join(f"{name} {value}" for name, value in known.items())
    if not where and not record.name.startswith("fishjam_agents"):
        where = record.name
    return f"  [{where}]" if where else ""


def _short(known: Mapping[str, str], record: logging.LogRecord) -> str:
    """Return what a line belongs to, as far as it has room and nothing is lost."""
    known = {name: short_id(value) for name, value in known.items()}
    # What is said elsewhere goes first: who is named in the sentence, then the call of a room.
    told = ("peer",) if getattr(record, "peer_told", False) else ()
    for left_out in ((), told, (*told, "call")) if "room" in known else ((), told):
        where = _where({name: value for name, value in known.items() if name not in left_out}, record)
        if _HEAD + len(record.message) + len(where) <= WIDTH:
            return where
    return _where(known, record)


def _coloured(line: str, record: logging.LogRecord, where: str) -> str:
    """Return a line whose text is safe by now, with colours."""
    # Levels are 7 wide, or as wide as their names: CRITICAL, those of other libraries.
    end = max(_HEAD - 1, _TIME + 1 + len(record.levelname))
    time, level, rest = line[:_TIME], line[_TIME + 1 : end], line[end + 1 :]
    if where and rest.endswith(where):
        rest = f"{rest.removesuffix(where)}{_DIM}{where}{_PLAIN}"
    shade = next((shade for least, shade in _SHADES if record.levelno >= least), _DIM)
    return f"{_DIM}{time}{_PLAIN} {shade}{level}{_PLAIN} {rest}"


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether what is written to a stream may be coloured.

    A terminal that can; `NO_COLOR` and `FORCE_COLOR`, where they are set and not empty, decide otherwise
    (no-color.org, force-color.org), the former above the latter.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    try:
        return stream.isatty() and environ.get("TERM") != "dumb"
    except ValueError:
        # It is closed.
        return False


def _complete(record: logging.LogRecord) -> bool:
    """Say what the task of a line works for, where the line does not."""
    for name, context in (("room", log_room), ("bot", log_bot)):
        if not getattr(record, name, None):
            setattr(record, name, context.get())
    return True


def setup_logging(settings: LogSettings, secrets: Mapping[str, str] = MappingProxyType({})) -> None:
    """Log to standard error or a file; a second call replaces what the first one set up.

    Args:
        settings: What and where to.
        secrets: What is never to stand in a line, and what to say in its place.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        handler = (
            logging.StreamHandler()
            if settings.file is None
            else logging.FileHandler(settings.file, encoding="utf-8")
        )
    except OSError as error:
        raise ConfigError(
            f"log.file {settings.file} cannot be written ({error.strerror}): check the folder"
        ) from error
    match settings.format:
        case "text":
            colour = settings.file is None and wants_colour(sys.stderr)
            handler.setFormatter(LineFormatter(secrets, colour=colour))
        case "json":
            handler.setFormatter(JsonFormatter(secrets))
            # Python's own warnings are lines like all others.
            logging.captureWarnings(True)
        case other:
            assert_never(other)
    handler.addFilter(_complete)
    root = logging.getLogger()
    for old in [
        known for known in root.handlers if isinstance(known.formatter, LineFormatter | JsonFormatter)
    ]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    WORDS.setLevel(logging.INFO if settings.words else logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
