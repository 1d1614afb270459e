"""Log lines a person can read: what happened, in which call, in which room, to whom.

What people and bots say appears at DEBUG only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType

from fishjam_agents.errors import ConfigError
from fishjam_agents.events import Event
from fishjam_agents.observe.settings import LogSettings
from fishjam_agents.printable import printable

logger = logging.getLogger("fishjam_agents.call")

_TALKATIVE = ("asyncio", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "uvicorn", "websockets")
"""Libraries whose own details hide the call's, and at DEBUG print headers with tokens in them."""


log_room: ContextVar[str | None] = ContextVar("log_room", default=None)
"""Id of the room whose call a task works for: log lines that name no room themselves get this one."""


class EventLog:
    """An observer that logs each event of a call.

    Args:
        call: Id of the call, or what tells it: a pipeline knows its id only while it runs.
        room: Id of the room.
        names: Peer ids to what to call them in the sentence.
    """

    def __init__(
        self,
        call: str | Callable[[], str | None],
        room: str,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._call = call
        self._room = room
        self._names = names

    def __call__(self, event: Event) -> None:
        """Log one event."""
        level = event.log_level()
        if logger.isEnabledFor(level):
            call = self._call if isinstance(self._call, str) else self._call()
            peer = getattr(event, "peer", None)
            extra = {"call": call, "room": self._room, "peer": peer}
            if peer is not None and peer in self._names:
                event = replace(event, peer=self._names[peer])  # type: ignore[call-arg]
            told = event.sentence(words=logger.isEnabledFor(logging.DEBUG))
            # Also for the programs that format their lines themselves.
            logger.log(level, "%s", printable(told), extra=extra)


class LineFormatter(logging.Formatter):
    """`12:03:44.120 INFO    the bot replies  [call 1a2b3c4d room r1 peer p1]`.

    Lines that belong to no call end with their logger's name instead, unless it is ours.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s%(where)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, followed by its traceback if it has one."""
        known = [(name, getattr(record, name, None)) for name in ("call", "room", "peer")]
        if not known[1][1]:
            known[1] = ("room", log_room.get())
        where = " ".join(f"{name} {value}" for name, value in known if value)
        if not where and not record.name.startswith("fishjam_agents"):
            where = record.name
        record.where = f"  [{where}]" if where else ""
        return printable(super().format(record), lines=True)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without its traceback. Further lines are indented: none can pass for a record."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time of day with milliseconds."""
        return f"{super().formatTime(record, datefmt)}.{int(record.msecs):03d}"


def setup_logging(settings: LogSettings) -> None:
    """Log to standard error or a file; a second call replaces what the first one set up.

    Args:
        settings: What and where to.

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
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known.formatter, LineFormatter)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
