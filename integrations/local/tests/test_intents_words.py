"""Numbers, times, durations, days and names, as people say them and as Whisper writes them."""

from __future__ import annotations

import datetime

import pytest
from fishjam_agents_local.intents.dates import dates, spoken_date
from fishjam_agents_local.intents.decisions import _named
from fishjam_agents_local.intents.names import name
from fishjam_agents_local.intents.times import clock, durations, spoken_duration, spoken_time, times
from fishjam_agents_local.intents.words import number_at, split

TODAY = datetime.date(2026, 12, 2)
"""A Wednesday."""
DINNER = (17 * 60, 22 * 60)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("four", 4),
        ("4.", 4),
        ("twenty-one", 21),
        ("a hundred and twenty", 120),
        ("two hundred", 200),
        ("a couple of", 2),
        ("a dozen", 12),
        ("fifth", 5),
        ("5th", 5),
        ("thirty-first", 31),
        ("people", None),
        ("99999999999", None),
        ("²", None),
    ],
)
def test_a_number_is_read(text: str, value: int | None) -> None:
    number = number_at(split(text), 0)
    assert (number and number.value) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half past seven", "19:30"),
        ("at quarter to eight", "19:45"),
        ("a quarter past six", "18:15"),
        ("ten to nine please", "20:50"),
        ("seven thirty", "19:30"),
        ("at 7.30.", "19:30"),
        ("7:30 p.m.", "19:30"),
        ("at seven", "19:00"),
        ("seven o'clock", "19:00"),
        ("eight in the evening", "20:00"),
        ("730 pm", "19:30"),
        ("19:30", "19:30"),
        ("tonight at eight", "20:00"),
        ("noon", "12:00"),
        ("quarter to noon", "11:45"),
        ("nine in the morning", "09:00"),
        ("seven oh five", "19:05"),
        ("half six", "18:30"),
        ("at 8 for 4 people", "20:00"),
        ("at 7pm", "19:00"),
        ("at 730", "19:30"),
        ("have past six", "18:30"),
    ],
)
def test_a_time_is_read(text: str, expected: str) -> None:
    found = [time for time in times(split(text)) if not time.bare]
    assert [clock(time.between(*DINNER)) for time in found] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *("for two people", "13", "in ten minutes", "the fifth of May", "a table for 4", "5²"),
        f"at {'1' * 5000}:30",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert [time for time in times(split(text)) if not time.bare] == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("ten minutes", 600),
        ("an hour and a half", 5400),
        ("half an hour", 1800),
        ("one and a half hours", 5400),
        ("90 seconds", 90),
        ("a minute", 60),
        ("2 minutes and thirty seconds", 150),
        ("an hour and ten minutes", 4200),
        ("a quarter of an hour", 900),
        ("a half hour", 1800),
        ("two and a half minutes", 150),
    ],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert [duration.seconds for duration in durations(split(text))] == [seconds]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-12-02"),
        ("tomorrow evening", "2026-12-03"),
        ("the day after tomorrow", "2026-12-04"),
        ("on Friday", "2026-12-04"),
        ("on Wednesday", "2026-12-09"),
        ("next Thursday", "2026-12-10"),
        ("next Monday", "2026-12-07"),
        ("the fifth of December", "2026-12-05"),
        ("December 5th", "2026-12-05"),
        ("on the 1st", "2027-01-01"),
        ("January 3", "2027-01-03"),
        ("in three days", "2026-12-05"),
        ("in a week", "2026-12-09"),
        ("Friday the fourth", "2026-12-04"),
        ("Monday next week", "2026-12-07"),
        ("on the thirty first", "2026-12-31"),
    ],
)
def test_a_day_is_read(text: str, day: str) -> None:
    assert [date.day.isoformat() for date in dates(split(text), TODAY)] == [day]


@pytest.mark.parametrize("text", ["may I", "a second", "in ten minutes", "for two", "at 7:30"])
def test_what_is_no_day_is_none(text: str) -> None:
    assert dates(split(text), TODAY) == []


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("under Smith", False, "Smith"),
        ("book it under the name of Anna Smith please", False, "Anna Smith"),
        ("My name is Miller.", False, "Miller"),
        ("Miller.", True, "Miller"),
        ("It's Anna.", True, "Anna"),
        ("Uh, Mr. Brown, please.", True, "Mr Brown"),
        ("S-M-I-T-H", True, "Smith"),
        ("what time is it", True, None),
        ("I would like a table", False, None),
        ("never mind", True, None),
        ("under an hour", False, None),
        ("john miller", True, "John Miller"),
    ],
)
def test_a_name_is_read(text: str, asked: bool, expected: str | None) -> None:
    assert name(split(text), asked) == expected


def test_what_was_read_is_spoken() -> None:
    assert [spoken_time(minutes) for minutes in (1170, 720, 0, 545)] == [
        "7:30 pm",
        "noon",
        "midnight",
        "9:05 am",
    ]
    assert spoken_duration(5430) == "1 hour, 30 minutes and 30 seconds"
    assert spoken_date(datetime.date(2026, 12, 4), TODAY) == "Friday, December 4"
    assert spoken_date(TODAY, TODAY) == "today"


def test_a_slot_is_named_by_whole_words() -> None:
    slots = {"day": 0, "last_name": 0}
    assert _named(slots, "The day, please.") == "day"
    assert _named(slots, "My last name!") == "last_name"
    assert _named(slots, "Not today, and no birthdays.") is None
