"""Values for slots, found in what somebody said."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from fishjam_agents_local.intents.dates import dates, spoken_date
from fishjam_agents_local.intents.dialogue import Slot, SlotType
from fishjam_agents_local.intents.names import name
from fishjam_agents_local.intents.times import (
    clock,
    durations,
    spoken_duration,
    spoken_time,
    times,
)
from fishjam_agents_local.intents.words import HOMOPHONES, Span, Word, number_at, split

_SHORT = 3
"""Words up to which an utterance may be a number that a recogniser wrote as another word."""


@dataclass(frozen=True, slots=True)
class Value:
    """Value of a slot.

    Attributes:
        value: As a tool is given it: a number, `2026-12-04`, `19:30`, seconds, text.
        spoken: As it is said; of a day, in words that stay right after midnight.
        day: The day, of a date.
    """

    value: int | str
    spoken: str
    day: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Values for slots in one utterance.

    Attributes:
        values: By slot.
        wrong: Slots for which something was said that is out of their bounds.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    wrong: Sequence[str] = ()


def find(text: str, slots: Mapping[str, Slot], today: datetime.date, asked: str | None = None) -> Found:
    """Find what an utterance says of slots.

    Of several values of a kind the first slots of that kind get the first; a single slot gets the last, since
    people correct themselves: "on Monday, no, on Tuesday".

    Args:
        text: What was said.
        slots: The slots.
        today: What "tomorrow" follows.
        asked: The slot that was asked for.
    """
    said = _Said(split(text), today)
    values: dict[str, Value] = {}
    wrong: list[str] = []
    kinds: dict[SlotType, list[str]] = {}
    for key in sorted(slots, key=lambda key: key != asked):
        kinds.setdefault(slots[key].type, []).append(key)
    for kind, keys in kinds.items():
        if kind == "choice":
            for key in keys:
                if (option := said.option(slots[key].options)) is not None:
                    values[key] = Value(option, option)
            continue
        if kind == "text":
            if asked in keys and text.strip():
                values[asked] = Value(text.strip(), text.strip())
            continue
        found = list(said.values(kind, slots[keys[0]], asked=asked in keys))
        chosen = found[-1:] if len(keys) == 1 else found
        for key, value in zip(keys, chosen, strict=False):
            low, high = slots[key].bounds
            number, made = value
            if number is not None and not low <= number <= high:
                wrong.append(key)
            else:
                values[key] = made
    return Found(values, wrong)


class _Said:
    """Words of an utterance with all that they mean."""

    def __init__(self, words: Sequence[Word], today: datetime.date) -> None:
        self._words = words
        self._today = today
        self._dates = dates(words, today)
        self._times = times(words)
        self._durations = durations(words)

    def values(self, kind: SlotType, slot: Slot, *, asked: bool) -> Iterator[tuple[int | None, Value]]:
        """Values of a kind in their order, each with the number that bounds are about."""
        match kind:
            case "number":
                for number in self._numbers(asked):
                    yield number, Value(number, str(number))
            case "date":
                for date in self._dates:
                    yield None, Value(date.day.isoformat(), spoken_date(date.day), date.day)
            case "time":
                clear = [
                    time for time in self._times if not time.bare and not self._taken(time, self._durations)
                ]
                bare = [
                    time for time in self._times if not self._taken(time, [*self._durations, *self._dates])
                ]
                for time in clear or (bare if asked else []):
                    minutes = time.between(*slot.bounds)
                    yield minutes, Value(clock(minutes), spoken_time(minutes))
            case "duration":
                for duration in self._durations:
                    yield duration.seconds, Value(duration.seconds, spoken_duration(duration.seconds))
                if asked and not self._durations and (plain := list(self._numbers(asked))):
                    # "For how many minutes?" "Ten."
                    yield plain[-1] * 60, Value(plain[-1] * 60, spoken_duration(plain[-1] * 60))
            case "name":
                taken = {place for span in self._elsewhere() for place in span.places}
                if (told := name(self._words, asked, taken)) is not None:
                    yield None, Value(told, told)
            case "choice" | "text":
                return
            case _:
                assert_never(kind)

    def option(self, options: Mapping[str, tuple[str, ...]]) -> str | None:
        """The option that is named, by the most words."""
        plain = [word.plain for word in self._words]
        named: list[tuple[int, str]] = []
        for option, others in options.items():
            for phrase in (option, *others):
                wanted = [word.plain for word in split(phrase)]
                if wanted and any(plain[n : n + len(wanted)] == wanted for n in range(len(plain))):
                    named.append((len(wanted), option))
        return max(named, key=lambda one: one[0])[1] if named else None

    def _elsewhere(self) -> list[Span]:
        return [*self._dates, *self._durations, *(time for time in self._times if not time.bare)]

    def _taken(self, span: Span, by: Sequence[Span]) -> bool:
        return any(span.start < other.end and other.start < span.end for other in by)

    def _numbers(self, asked: bool) -> Iterator[int]:
        elsewhere = self._elsewhere()
        place, found = 0, False
        while place < len(self._words):
            number = number_at(self._words, place)
            if number is None:
                place += 1
                continue
            before = self._words[place - 1].plain if place else ""
            article = (
                self._words[place].plain == "one" and not asked and before not in ("for", "just", "only")
            )
            if not (number.ordinal or article or self._taken(number, elsewhere)):
                found = True
                yield number.value
            place = number.end
        if asked and not found and len(self._words) <= _SHORT:
            for word in reversed(self._words):
                if word.plain in HOMOPHONES:
                    yield HOMOPHONES[word.plain]
                    return
