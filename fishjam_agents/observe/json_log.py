"""Log lines for programs: one JSON object each."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fishjam_agents.events import Event
from fishjam_agents.secrecy import conceal

ABOUT = ("call", "room", "bot", "peer")
"""Fields by which a line tells its subject."""
WORDS = logging.getLogger("fishjam_agents.call.words")
"""Logger that lets what people and bots say be logged at INFO, where it is enabled for that. `log.words` sets
its level; a program that sets up logging by itself sets it there."""
WORDS.setLevel(logging.WARNING)
_SAID = frozenset({"text", "heard"})
"""Fields of events with what people say."""
_PAYLOADS = frozenset({"arguments", "result"})
"""Fields of events with what tools are given and answer."""


class JsonFormatter(logging.Formatter):
    """`{"time": ..., "level": ..., "logger": ..., "message": ..., "call": ..., "room": ..., "event": ...}`.

    A line about an event has its kind as `event`, and its other fields below `fields`.

    Args:
        secrets: What is never to stand in a line, and what to say in its place.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of ASCII: no control character reaches a terminal."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = vars(record)
        line |= {name: known[name] for name in ABOUT if known.get(name)}
        event = known.get("call_event")
        if isinstance(event, Event):
            # What is logged at DEBUG may be written down.
            debug = logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
            words = debug or WORDS.isEnabledFor(logging.INFO)
            line |= {"event": event.kind, "fields": event_fields(event, words=words, payloads=debug)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(self._told(line), default=repr)

    def _told(self, value: Any) -> Any:
        """A value as it may stand in a line."""
        if isinstance(value, str):
            return conceal(value, self._secrets)
        if isinstance(value, Mapping):
            return {str(name): self._told(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._told(item) for item in value]
        # NaN is no JSON.
        return None if isinstance(value, float) and not math.isfinite(value) else value


def event_fields(event: Event, *, words: bool, payloads: bool) -> dict[str, Any]:
    """The fields of an event for a line.

    Args:
        event: The event.
        words: Whether what people say is among them.
        payloads: Whether what tools are given and answer is.
    """
    data = {name: value for name, value in event.as_dict().items() if name not in ("kind", "peer")}
    hidden = frozenset() if payloads else _PAYLOADS
    if words:
        return {name: value for name, value in data.items() if name not in hidden}
    heard = data.get("heard")
    data = {name: value for name, value in data.items() if name not in _SAID | hidden}
    return data if heard is None else {**data, "heard": {"seconds": heard["seconds"]}}
