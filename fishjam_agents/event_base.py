"""Base of the event stream: what all events share, and what several of them hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

INTERNAL: Mapping[str, Any] = MappingProxyType({"internal": True})
"""Metadata of a field that is for this process alone."""
_READABLE = 12
"""Characters up to which an id is shown whole in a sentence."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Part of a reply that the listeners heard: one estimate, used by every consumer.

    Attributes:
        reply: Id of the reply.
        seconds: How much of it was played.
        text: The words of that part.
        text_exact: True where the backend gave the times of words, or what was heard ends where words that it
            gave a time begin; else the text is cut in proportion.
    """

    reply: str
    seconds: float
    text: str = ""
    text_exact: bool = False

    def sentence(self, *, words: bool) -> str:
        """The part in plain words, quoted where `words` says so."""
        text = f": {self.text!r}" if words and self.text else ""
        return f"{self.seconds:.1f} s of it heard{text}"


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn of one speaker.

    Attributes:
        id: Unique in the call.
        peer: Who spoke; None in a mix in which nobody was clearly loudest.
        track: Id of the microphone's track.
        start: Onset of the speech, call time in seconds.
        end: End of the speech, call time in seconds.
        reason: `silence` (the normal end), `missing` (packets ceased), `left`, `outage`, `limit` (it
            reached the maximum turn), `released` (push to talk), `cancelled` (not to be answered: taken back
            with the button, one voice in two microphones, or talk through an answer to somebody else), `app`
            (the bot's ears were closed).
        text: Its words, where the hook `enrich` is given them: a cascade knows them by then.
    """

    id: str
    peer: str | None
    track: str
    start: float
    end: float
    reason: str = "silence"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        kind: Its name in a timeline; a class without one is no event by itself.
        level: Level it is logged at (`logging`), where that does not depend on its values.
        at: When it was decided, call time in seconds.
    """

    kind: ClassVar[str] = ""
    level: ClassVar[int] = logging.INFO
    at: float

    def sentence(self, *, words: bool = False) -> str:
        """The event in plain words, for the log.

        Args:
            words: Whether to quote what people and bots say.
        """
        raise NotImplementedError

    def log_level(self) -> int:
        """Level it is logged at."""
        return self.level

    @classmethod
    def shown_fields(cls) -> tuple[Field[Any], ...]:
        """Its fields that a timeline has: all but those that are `INTERNAL`."""
        return tuple(item for item in fields(cls) if item.metadata != INTERNAL)

    def as_dict(self) -> dict[str, Any]:
        """The event as plain JSON data, `kind` included, fields that are None left out."""
        data: dict[str, Any] = {"at": self.at}
        for item in self.shown_fields():
            value = getattr(self, item.name)
            if item.name != "at" and value is not None:
                data[item.name] = _plain(value)
        data["kind"] = self.kind
        return data


@dataclass(frozen=True, slots=True)
class BackendOriginated(Event):
    """Base of events that a backend makes, too: it gives no time, and the pipeline stamps what passes."""

    at: float = field(default=0.0, kw_only=True)

    def stamped(self, at: float) -> Self:
        """The event as decided at that moment."""
        return replace(self, at=at)


def person(peer: str | None) -> str:
    """A peer as a sentence names it."""
    return "somebody" if peer is None else short_id(peer)


def short_id(identity: str) -> str:
    """An id as far as it tells things apart: Fishjam's are UUIDs, which are whole in the log at `debug`."""
    return identity if len(identity) <= _READABLE else identity[:8]


def _plain(value: Any) -> Any:
    if isinstance(value, Heard):
        return {
            "seconds": round(value.seconds, 3),
            "text": value.text,
            "text_exact": value.text_exact,
        }
    if isinstance(value, Mapping):
        return dict(value)
    return value
