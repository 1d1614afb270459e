"""The words of what was heard."""

from __future__ import annotations

import pytest

from fishjam_agents.playout.heard_text import heard_text

LONG = "We have a table by the window at seven and another one at half past eight. "
SENTENCES = [("Good evening. ", 0.0), (LONG, 1.0), ("Which one? ", 6.0)]


@pytest.mark.parametrize(
    ("pieces", "heard", "given", "complete", "expected"),
    [
        # Of a sentence that has just begun next to nothing was heard.
        ([(LONG, 0.0)], 0.28, 7.5, True, ("We", False)),
        ([(LONG, 0.0)], 0.05, 7.5, True, ("", False)),
        ([(LONG, 0.0)], 7.5, 7.5, True, (LONG.strip(), True)),
        (SENTENCES, 0.5, 7.0, True, ("Good", False)),
        (SENTENCES, 1.0, 7.0, True, ("Good evening.", True)),
        (SENTENCES, 3.5, 7.0, True, ("Good evening. We have a table by the window at", False)),
        (SENTENCES, 6.0, 7.0, True, (f"Good evening. {LONG}".strip(), True)),
        (SENTENCES, 7.0, 7.0, True, (f"Good evening. {LONG}Which one?", True)),
        # Of the last sentence there is no more sound yet than was heard.
        ([(LONG, 0.0)], 0.28, 0.3, False, ("We", False)),
        ([("Good evening. ", 0.0), (LONG, 1.0)], 1.4, 1.4, False, ("Good evening. We", False)),
        # Times of words.
        ([("one ", 0.0), ("two ", 0.5), ("three", 1.2)], 1.0, 2.0, True, ("one two", True)),
        ([("one ", 0.0), ("two ", 0.5)], 0.0, 2.0, True, ("", True)),
        ([("你好", 0.0), ("吗", 0.4)], 0.1, 2.0, True, ("你好", True)),
        # No times at all, or not of everything.
        ([("one two three four", None)], 1.0, 2.0, True, ("one two", False)),
        ([("one two ", 0.0), ("three four", None)], 1.0, 2.0, True, ("one two", False)),
        ([("one two", None)], 2.0, 2.0, True, ("one two", False)),
        ([("one two", None)], 0.0, 2.0, True, ("", False)),
        ([("one two", None)], 1.0, 0.0, False, ("", False)),
        ([], 1.0, 2.0, True, ("", False)),
        # Scripts without spaces.
        ([("今天天气怎么样我们去公园", 0.0)], 1.0, 4.0, True, ("今天天", False)),
        ([("今天天气怎么样", None)], 2.0, 4.0, True, ("今天天气", False)),
    ],
)
def test_the_words_that_were_heard(
    pieces: list[tuple[str, float | None]],
    heard: float,
    given: float,
    complete: bool,
    expected: tuple[str, bool],
) -> None:
    assert heard_text(pieces, heard, given, complete=complete) == expected


@pytest.mark.parametrize(
    ("pieces", "heard", "given", "broken", "expected"),
    [
        # Two seconds have time for thirty letters.
        ([(LONG, 0.0)], 2.0, 2.0, [0], ("We have a table by the window", False)),
        ([(LONG, 0.0)], 1.0, 2.0, [0], ("We have a table", False)),
        # What may have been said whole is not known to have been.
        ([("We have a table. ", 0.0)], 2.0, 2.0, [0], ("We have a table.", False)),
        # In the middle of a reply.
        (
            [("Good evening. ", 0.0), (LONG, 1.0), ("Which one? ", 3.0)],
            4.0,
            4.0,
            [1],
            ("Good evening. We have a table by the window Which one?", False),
        ),
        ([("Good evening. ", 0.0), (LONG, 1.0)], 0.9, 3.0, [1], ("Good", False)),
        ([("Good evening. ", 0.0), (LONG, 1.0)], 1.0, 3.0, [1], ("Good evening.", True)),
        # Times of a backend that are in no order, and words that are none.
        ([("hello ", 5.0), ("next one ", 3.0)], 6.0, 6.0, [0], ("next one", False)),
        ([(" ", 0.0), ("b c ", 0.0)], 6.0, 6.0, [0], ("b c", False)),
    ],
)
def test_of_words_whose_sound_broke_off_as_much_was_heard_as_had_time(
    pieces: list[tuple[str, float | None]],
    heard: float,
    given: float,
    broken: list[int],
    expected: tuple[str, bool],
) -> None:
    assert heard_text(pieces, heard, given, complete=True, broken=broken) == expected
