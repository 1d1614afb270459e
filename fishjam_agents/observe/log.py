"""Log lines a person can read: what happened, in which call, in which room, to whom.

What people and bots say appears at DEBUG only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from fishjam_agents.errors import ConfigError
from fishjam_agents.event_base import short_id
from fishjam_agents.events import Event
from fishjam_agents.observe.json_log import JsonFormatter
from fishjam_agents.observe.settings import LogSettings
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

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = event.log_level()
        if logger.isEnabledFor(level):
            call = self._call if isinstance(self._call, str) else self._call()
            peer = getattr(event, "peer", None)
            extra = {"call": call, "room": self._room, "bot": self._bot, "peer": peer, "call_event": event}
            if peer is not None and peer in self._names:
                event = replace(event, peer=self._names[peer])  # type: ignore[call-arg]
            told = event.sentence(words=logger.isEnabledFor(logging.DEBUG))
            # Also for the programs that format their lines themselves.
            logger.log(level, "%s", printable(told), extra=extra)


class LineFormatter(logging.Formatter):
    """`12:03:44.120 INFO    the bot replies  [call 1a2b3c4d room r1 peer p1]`.

    Lines that belong to no call end with their logger's name instead, unless it is ours. Long ids are whole
    where `debug` is logged, and else as long as tells them apart, so that a line fits a terminal.

    Args:
        secrets: What is never to stand in a line, and what to say in its place.
    """

    def __init__(self, secrets: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s%(where)s", "%H:%M:%S")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, followed by its traceback if it has one."""
        known = [(name, getattr(record, name, None)) for name in ("call", "room", "peer")]
        whole = logging.getLogger().isEnabledFor(logging.DEBUG)
        where = " ".join(
            f"{name} {value if whole else short_id(str(value))}" for name, value in known if value
        )
        if not where and not record.name.startswith("fishjam_agents"):
            where = record.name
        record.where = f"  [{where}]" if where else ""
        return printable(conceal(super().format(record), self._secrets), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without its traceback. Further lines are indented: none can pass for a record."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time of day with milliseconds."""
        return f"{super().formatTime(record, datefmt)}.{int(record.msecs):03d}"


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
            handler.setFormatter(LineFormatter(secrets))
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
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
