"""Times of day and durations, as people say them in English."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fishjam_agents_local.intents.words import Number, Span, Word, minutes_at, number_at

_LEADS = frozenset({"at", "around", "about", "by", "until", "till", "before", "after", "from", "for"})
_HALVES = {"half": 30, "quarter": 15, "have": 30}
"""With what recognisers write for "half past"."""
_UNITS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86400, "week": 604800}
_MORNING = frozenset({"am", "morning"})
_EVENING = frozenset({"pm", "evening", "night", "tonight", "afternoon"})
_HALF_DAY = 12 * 60
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Time(Span):
    """A time of day.

    Attributes:
        minutes: Since midnight, as said.
        certain: Whether it can mean no other half of the day.
        bare: Whether it is a number alone, which only a question for a time makes one.
    """

    minutes: int
    certain: bool = False
    bare: bool = False

    def between(self, least: int, most: int) -> int:
        """Minutes since midnight: of the two halves of the day the one that lies in a range, or is likelier.

        From one to seven o'clock the afternoon is; bounds are minutes since midnight, too.
        """
        if self.certain:
            return self.minutes
        other = (self.minutes + _HALF_DAY) % _DAY
        fits = [minutes for minutes in (self.minutes, other) if least <= minutes <= most]
        if len(fits) == 1:
            return fits[0]
        return other if self.minutes < 8 * 60 else self.minutes


@dataclass(frozen=True, slots=True)
class Duration(Span):
    """A length of time.

    Attributes:
        seconds: How long.
    """

    seconds: int


def clock(minutes: int) -> str:
    """Return a time of day as it is given to tools: `19:30`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def spoken_time(minutes: int) -> str:
    """Return a time of day as it is spoken: `7:30 pm`, `noon`."""
    hour, minute = divmod(minutes, 60)
    if minute == 0 and hour in (0, 12):
        return "noon" if hour == 12 else "midnight"
    half = "am" if hour < 12 else "pm"
    return f"{hour % 12 or 12}{f':{minute:02}' if minute else ''} {half}"


def spoken_duration(seconds: int) -> str:
    """Return a duration as it is spoken: `1 hour and 30 minutes`."""
    parts = []
    for name, unit in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    *most, last = parts or ["0 seconds"]
    return f"{', '.join(most)} and {last}" if most else last


def read_clock(text: str) -> int:
    """Read `19:30`, as settings have it, in minutes since midnight.

    Raises:
        ValueError: It is no such time.
    """
    time = datetime.datetime.strptime(text, "%H:%M")
    return time.hour * 60 + time.minute


def times(words: Sequence[Word]) -> list[Time]:
    """All times of day that are said."""
    found: list[Time] = []
    place = 0
    while place < len(words):
        time = _time_at(words, place)
        if time is None:
            place += 1
        else:
            found.append(time)
            place = time.end
    return found


def durations(words: Sequence[Word]) -> list[Duration]:
    """All durations that are said; "an hour and ten minutes" is one."""
    found: list[Duration] = []
    place = 0
    while place < len(words):
        duration = _duration_at(words, place)
        if duration is None:
            place += 1
            continue
        last = found[-1] if found else None
        between = [word.plain for word in words[last.end : place]] if last else []
        if last is not None and between in ([], ["and"]) and not (between == [] and words[place].after_stop):
            found[-1] = Duration(last.start, duration.end, last.seconds + duration.seconds)
        else:
            found.append(duration)
        place = duration.end
    return found


# --- times of day ---


def _plain(words: Sequence[Word], place: int) -> str:
    return words[place].plain if 0 <= place < len(words) else ""


def _time_at(words: Sequence[Word], start: int) -> Time | None:
    word = _plain(words, start)
    if word in ("noon", "midday", "midnight"):
        return Time(start, start + 1, 0 if word == "midnight" else _HALF_DAY, certain=True)
    if ":" in word or "." in word:
        hour, _, minute = word.replace(".", ":").partition(":")
        if len(hour) > 2:
            return None
        return _half_of_day(words, start, start + 1, int(hour), int(minute))
    told = _before_the_hour(words, start)
    if told is not None:
        return told
    number = number_at(words, start)
    if number is None or number.ordinal:
        return None
    if words[start].digits and len(word) in (3, 4):
        # Recognisers write 730 for "seven thirty".
        return _alone(words, start, start + 1, number.value // 100, number.value % 100)
    if number.value > 24:
        return None
    if _plain(words, number.end) in _UNITS or _plain(words, number.end).rstrip("s") in _UNITS:
        return None
    if _plain(words, number.end) == "o'clock" or _clock_in_two(words, number.end):
        end = number.end + 1 + _clock_in_two(words, number.end)
        return _half_of_day(words, start, end, number.value, 0)
    minutes = minutes_at(words, number.end)
    if minutes is not None and not words[number.end].after_stop:
        return _half_of_day(words, start, minutes.end, number.value, minutes.value)
    return _alone(words, start, number.end, number.value, 0)


def _alone(words: Sequence[Word], start: int, end: int, hour: int, minute: int) -> Time | None:
    """A number that is a time by what is around it, or only if one was asked for."""
    said = _half_of_day(words, start, end, hour, minute)
    if said is None or said.end > end or _said_before(words, start):
        return said
    return replace(said, bare=not _leads(words, start))


def _leads(words: Sequence[Word], start: int) -> bool:
    """Return whether the word before a number makes it a time."""
    return _plain(words, start - 1) in _LEADS - {"for", "about", "from"} and start > 0


def _clock_in_two(words: Sequence[Word], place: int) -> bool:
    return _plain(words, place) == "o" and _plain(words, place + 1) == "clock"


def _before_the_hour(words: Sequence[Word], start: int) -> Time | None:
    """`Half past seven`, `a quarter to eight`, `ten past six`, `half seven`."""
    if _plain(words, start) == "have" and _plain(words, start + 1) != "past":
        return None
    begin = start + (_plain(words, start) == "a" and _plain(words, start + 1) in _HALVES)
    share = _HALVES.get(_plain(words, begin))
    if share is not None:
        end = begin + 1
    else:
        number = number_at(words, start)
        if number is None or number.ordinal or not 0 < number.value < 60:
            return None
        share, end = number.value, number.end
        end += _plain(words, end) in ("minute", "minutes")
    relation = _plain(words, end)
    if relation in ("past", "after"):
        hour = number_at(words, end + 1)
    elif relation in ("to", "till", "before"):
        hour, share = number_at(words, end + 1), -share
    elif share == 30 and begin < end and _plain(words, begin) == "half":
        # "Half seven" is half past seven in Britain.
        hour, end = number_at(words, end), end - 1
    else:
        return None
    if hour is None or hour.ordinal or hour.value > 24:
        noon = _plain(words, end + 1)
        if noon not in ("noon", "midnight"):
            return None
        minutes = ((_HALF_DAY if noon == "noon" else 0) + share) % _DAY
        return Time(start, end + 2, minutes, certain=True)
    if share > 0:
        return _half_of_day(words, start, hour.end, hour.value, share)
    return _half_of_day(words, start, hour.end, (hour.value - 1) % 24 or 12, 60 + share)


def _half_of_day(words: Sequence[Word], start: int, end: int, hour: int, minute: int) -> Time | None:
    """A time with what follows it: `pm`, `in the evening`, `tonight`."""
    if hour > 24 or minute > 59:
        return None
    end += _plain(words, end) == "o'clock"
    after, begin = _plain(words, end), end
    if after in ("in", "at", "tomorrow", "on"):
        begin = end + 1 + (_plain(words, end + 1) in ("the", "this"))
        after = _plain(words, begin)
    elif after == "hours":
        return Time(start, end + 1, hour % 24 * 60 + minute, certain=True)
    certain = hour > 12 or hour == 0
    if after in _MORNING | _EVENING and hour <= 12:
        end = begin + 1 if after != "tonight" else end
        hour = hour % 12 + (12 if after in _EVENING else 0)
        if after == "night" and hour in (12, 13, 14, 15, 16):
            hour -= 12
        certain = True
    elif before := _said_before(words, start):
        hour = hour % 12 + (12 if before in _EVENING else 0) if hour <= 12 else hour
        certain = True
    return Time(start, end, hour % 24 * 60 + minute, certain)


def _said_before(words: Sequence[Word], start: int) -> str:
    """`Tonight at eight`, `tomorrow evening at eight`: the part of the day, "" where none was said."""
    place = start - 1
    if _plain(words, place) in _LEADS:
        place -= 1
    word = _plain(words, place)
    return word if word in _MORNING | _EVENING - {"pm", "am"} else ""


# --- durations ---


def _duration_at(words: Sequence[Word], start: int) -> Duration | None:
    word = _plain(words, start)
    if word == "half" and _plain(words, start + 1) in ("a", "an"):
        unit = _unit(words, start + 2)
        return None if unit is None else Duration(start, start + 3, unit // 2)
    if word in ("half", "quarter") and _plain(words, start + 1) == "hour":
        return Duration(start, start + 2, 1800 if word == "half" else 900)
    if word == "quarter" and [_plain(words, start + n) for n in (1, 2, 3)] == ["of", "an", "hour"]:
        return Duration(start, start + 4, 900)
    number: Number | None = number_at(words, start)
    if number is None and word in ("a", "an", "one"):
        number = Number(start, start + 1, 1)
    if number is None or number.ordinal:
        return None
    end, halves = number.end, 0
    if [_plain(words, end + n) for n in (0, 1, 2)] == ["and", "a", "half"]:
        end, halves = end + 3, 1
    if word in ("a", "an") and number.end == start + 1 and _plain(words, end) == "half":
        return _duration_at(words, end)
    if word == "a" and number.end == start + 1 and _plain(words, end) == "quarter":
        return _duration_at(words, end)
    unit = _unit(words, end)
    if unit is None:
        return None
    end += 1
    if [_plain(words, end + n) for n in (0, 1, 2)] == ["and", "a", "half"]:
        end, halves = end + 3, 1
    return Duration(start, end, number.value * unit + halves * unit // 2)


def _unit(words: Sequence[Word], place: int) -> int | None:
    word = _plain(words, place)
    return _UNITS.get(word, _UNITS.get(word.removesuffix("s")))
