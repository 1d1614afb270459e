"""Moments of a call as a scenario writes them: `1.5`, `300 ms after reply_first_audio`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fishjam_agents.events import EVENTS, KINDS, Heard

_FIELDS: Mapping[str, frozenset[str]] = {
    cls.kind: frozenset(item.name for item in cls.shown_fields()) for cls in EVENTS.values()
}
_MAPPINGS: Mapping[str, frozenset[str]] = {
    cls.kind: frozenset(item.name for item in cls.shown_fields() if str(item.type).startswith("Mapping"))
    for cls in EVENTS.values()
}
_HEARD = tuple(f"heard.{item.name}" for item in fields(Heard) if item.name != "reply")
_TIMES = ("at", "media_at", "start")
_REFERENCE = (
    r"(?P<kind>[a-z_]+)(?:\.(?P<time>[a-z_]+))?(?:\s+(?P<number>\d+))?(?:\s+of\s+(?P<peer>\S(?:.*\S)?))?"
)
_MOMENT = re.compile(
    rf"(?:(?P<amount>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>ms|s)?)?(?:\s*\bafter\s+{_REFERENCE})?", re.ASCII
)
_FORM = "write seconds like 1.5, or `300 ms after reply_first_audio`"


@dataclass(frozen=True, slots=True)
class Reference:
    """One event of a call: `user_turn_ended`, `reply_ended 2`, `user_turn_ended.media_at of bob`.

    Attributes:
        kind: What happened (`events.KINDS`).
        number: Which of them, counted from 1.
        peer: Only those of this caller; None counts everybody's.
        time: Which of its times is meant: `at` (decided), `media_at` or `start` (in the speaker's audio).
    """

    kind: str
    number: int = 1
    peer: str | None = None
    time: str = "at"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read one.

        Raises:
            ValueError: It is none.
        """
        match = re.fullmatch(_REFERENCE, text.strip(), re.ASCII)
        if match is None:
            raise ValueError(
                f"{text!r} is no event: write it like `reply_ended 2` or `user_turn_ended of bob`"
            )
        return _reference(match)

    def __str__(self) -> str:
        time = "" if self.time == "at" else f".{self.time}"
        number = "" if self.number == 1 else f" {self.number}"
        return f"{self.kind}{time}{number}{'' if self.peer is None else f' of {self.peer}'}"

    def fits(self, event: Mapping[str, Any]) -> bool:
        """Return whether a timeline's event is of the kind and the peer meant, whichever its number."""
        return event["kind"] == self.kind and self.peer in (None, event.get("peer"))


@dataclass(frozen=True, slots=True)
class TimeSpec:
    """A time since the call's zero, or since an event.

    Attributes:
        seconds: How long after.
        after: The event; None is the call's zero.
    """

    seconds: float
    after: Reference | None = field(default=None)

    @classmethod
    def parse(cls, text: str) -> TimeSpec:
        """Read one.

        Raises:
            ValueError: It is none.
        """
        match = _MOMENT.fullmatch(text.strip())
        if match is None or not match[0]:
            raise ValueError(f"{text!r} is no moment: {_FORM}")
        seconds = float(match["amount"] or 0) / (1000 if match["unit"] == "ms" else 1)
        return cls(seconds, None if match["kind"] is None else _reference(match))


def nearest(word: str, known: Iterable[str]) -> str:
    """The advice for a word that is none of the known ones."""
    offered = sorted(known)
    near = difflib.get_close_matches(word, offered, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(offered)}"


def fields_of(kind: str) -> tuple[str, ...]:
    """Return the fields that an event of a kind can be asked for: `reason`, `heard.seconds`."""
    plain = tuple(sorted(_FIELDS[kind] - {"heard"}))
    return plain + _HEARD if "heard" in _FIELDS[kind] else plain


def has_field(kind: str, path: str) -> bool:
    """Return whether an event of a kind has a field; one that holds a mapping has any name in it."""
    name, _, rest = path.partition(".")
    return path in fields_of(kind) or (bool(rest) and name in _MAPPINGS[kind])


def _reference(match: re.Match[str]) -> Reference:
    kind, peer, time = match["kind"], match["peer"], match["time"] or "at"
    if kind not in KINDS:
        raise ValueError(f"{kind} is no kind of event: {nearest(kind, KINDS)}")
    if time not in _TIMES or time not in _FIELDS[kind]:
        times = " or ".join(name for name in _TIMES if name in _FIELDS[kind])
        raise ValueError(f"{kind} has no time {time}: use {times}")
    if peer is not None and "peer" not in _FIELDS[kind]:
        raise ValueError(f"{kind} is nobody's event: leave out `of {peer}`")
    number = int(match["number"] or 1)
    if number < 1:
        raise ValueError(f"events are counted from 1: write `{kind} 1` or `{kind}`")
    return Reference(kind, number, peer, time)
