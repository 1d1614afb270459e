"""Days, as people name them in English."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from fishjam_agents_local.intents.words import Span, Word, listed, number_at

_WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
_MONTHS = listed("""
    january february march april may june july august september october november december
""")
_SHORT = {name[:3]: place for place, name in enumerate(_MONTHS, 1)} | {"sept": 9}
_MONTH = {name: place for place, name in enumerate(_MONTHS, 1)} | _SHORT


@dataclass(frozen=True, slots=True)
class Date(Span):
    """A day.

    Attributes:
        day: The day.
    """

    day: datetime.date


def dates(words: Sequence[Word], today: datetime.date) -> list[Date]:
    """All days that are said.

    A weekday is the next one of its name, today excluded; a day of a month is the next one.

    Args:
        words: The words.
        today: What "tomorrow" follows.
    """
    found: list[Date] = []
    place = 0
    while place < len(words):
        date = _date_at(words, place, today)
        if date is None:
            place += 1
        else:
            found.append(date)
            place = date.end
    # "Friday the fourth": the day of the month says which Friday.
    merged: list[Date] = []
    for date in found:
        if merged and merged[-1].end == date.start and words[merged[-1].start].plain.rstrip("s") in _WEEKDAYS:
            merged[-1] = Date(merged[-1].start, date.end, date.day)
        else:
            merged.append(date)
    return merged


def spoken_date(day: datetime.date, today: datetime.date | None = None) -> str:
    """Return a day as it is spoken: `Friday, December 4`; where today is known, `today`, `tomorrow`."""
    if today is not None and (ahead := (day - today).days) in (0, 1):
        return "today" if ahead == 0 else "tomorrow"
    return f"{_WEEKDAYS[day.weekday()].capitalize()}, {_MONTHS[day.month - 1].capitalize()} {day.day}"


def _plain(words: Sequence[Word], place: int) -> str:
    return words[place].plain if 0 <= place < len(words) else ""


def _date_at(words: Sequence[Word], start: int, today: datetime.date) -> Date | None:
    word = _plain(words, start)
    if word in ("today", "tonight"):
        return Date(start, start + 1, today)
    if word in ("tomorrow", "tommorow"):
        return Date(start, start + 1, today + datetime.timedelta(1))
    if [_plain(words, start + n) for n in range(4)][1:] == ["day", "after", "tomorrow"] and word == "the":
        return Date(start, start + 4, today + datetime.timedelta(2))
    if word == "day" and [_plain(words, start + n) for n in (1, 2)] == ["after", "tomorrow"]:
        return Date(start, start + 3, today + datetime.timedelta(2))
    if word.removesuffix("'s").rstrip("s") in _WEEKDAYS and word != "s":
        return _weekday(words, start, today)
    return _in_days(words, start, today) or _of_month(words, start, today)


def _weekday(words: Sequence[Word], start: int, today: datetime.date) -> Date:
    wanted = _WEEKDAYS.index(words[start].plain.removesuffix("'s").rstrip("s"))
    ahead = (wanted - today.weekday()) % 7 or 7
    end = start + 1
    if _plain(words, start - 1) == "next" and ahead < 3:
        # Nobody calls the day after tomorrow "next Tuesday".
        ahead += 7
    if [_plain(words, end), _plain(words, end + 1)] == ["next", "week"]:
        ahead, end = (7 - today.weekday()) + wanted, end + 2
    return Date(start, end, today + datetime.timedelta(ahead))


def _in_days(words: Sequence[Word], start: int, today: datetime.date) -> Date | None:
    """`In three days`, `in a week`."""
    if _plain(words, start) != "in":
        return None
    number = number_at(words, start + 1)
    value, end = (number.value, number.end) if number is not None else (1, start + 2)
    if number is None and _plain(words, start + 1) not in ("a", "one"):
        return None
    unit = {"day": 1, "week": 7}.get(_plain(words, end).removesuffix("s"))
    if unit is None or value > 400:
        return None
    return Date(start, end + 1, today + datetime.timedelta(value * unit))


def _of_month(words: Sequence[Word], start: int, today: datetime.date) -> Date | None:
    """`The fifth of December`, `December 5th`, `the fifth`."""
    month = _MONTH.get(_plain(words, start))
    if month is not None:
        begin = start + 1 + (_plain(words, start + 1) == "the")
        number = number_at(words, begin)
        if number is None or (
            _plain(words, start) in ("may", "mar", "march") and not _named(words, start, number.ordinal)
        ):
            return None
        return _next(start, number.end, number.value, month, today)
    begin = start + (_plain(words, start) == "the")
    number = number_at(words, begin)
    if number is None:
        return None
    of = number.end + (_plain(words, number.end) == "of")
    month = _MONTH.get(_plain(words, of))
    if month is not None:
        return _next(start, of + 1, number.value, month, today)
    if number.ordinal and begin > start:
        return _next(start, number.end, number.value, None, today)
    return None


def _named(words: Sequence[Word], start: int, ordinal: bool) -> bool:
    """Return whether a month that is a word, too, is meant: `on May 5`."""
    return ordinal or words[start].text[:1].isupper()


def _next(start: int, end: int, day: int, month: int | None, today: datetime.date) -> Date | None:
    """The next day of that number, in a month where one was said."""
    for ahead in range(24):
        year, index = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        if month is not None and index + 1 != month:
            continue
        try:
            found = datetime.date(year, index + 1, day)
        except ValueError:
            continue
        if found >= today:
            return Date(start, end, found)
    return None
