"""Days of what is said: a call may last longer than one."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from fishjam_agents_local.intents.days import DaysOfWords

from integrations.local.tests.talk import TODAY, Minds, Talk

DIALOGUE = Path(__file__).parents[3] / "examples" / "offline_assistant" / "dialogue.yaml"
MIDNIGHT = datetime.timedelta(1)
CONFIRM = "A table for 4, {day} at 7:30 pm, under the name of Miller. Is that right?"


@pytest.fixture(scope="module")
def minds() -> Minds:
    return Minds(DIALOGUE)


def test_tomorrow_is_the_day_after_it_was_said_and_is_spoken_of_as_what_it_is_by_then(minds: Minds) -> None:
    talk = Talk(minds, book_table="17")
    talk.say("A table for four tomorrow at half past seven, please.")
    talk.today += MIDNIGHT
    assert talk.say("Miller.") == CONFIRM.format(day="today")
    talk.say("Yes.")
    # The same word says another day now, and what came before stays.
    talk.say("I would like to book a table.")
    talk.say("For four.")
    assert talk.say("Tomorrow.") == "At what time?"
    talk.say("At half past seven.")
    assert talk.say("Miller.") == CONFIRM.format(day="tomorrow")
    talk.say("Yes.")
    assert [call.arguments["day"] for call in talk.calls] == ["2026-12-03", "2026-12-04"]


def test_the_same_words_on_two_days_are_two_days(minds: Minds) -> None:
    talk = Talk(minds)
    line = "A table for four tomorrow at half past seven, under Miller."
    assert talk.say(line) == CONFIRM.format(day="tomorrow")
    talk.say("Yes.")
    talk.today += MIDNIGHT
    assert talk.say(line) == CONFIRM.format(day="tomorrow")
    talk.say("Yes.")
    assert [call.arguments["day"] for call in talk.calls] == ["2026-12-03", "2026-12-04"]


def test_a_sentence_that_a_pause_and_midnight_cut_in_two_is_of_the_day_of_its_beginning(minds: Minds) -> None:
    talk = Talk(minds)
    talk.say("A table for four tomorrow at half past seven", answered=False)
    talk.today += MIDNIGHT
    assert talk.say("under Miller.") == CONFIRM.format(day="today")
    talk.say("Yes.")
    assert [call.arguments["day"] for call in talk.calls] == ["2026-12-03"]


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ([], ["a"], [2]),
        (["a"], ["a", "b"], [1, 2]),
        (["a", "b"], ["b", "c"], [1, 2]),
        (["a", "b"], ["a", "c"], [1, 2]),
        (["a", "a"], ["a", "a", "a"], [1, 1, 2]),
        (["a", "b", "a"], ["a", "b"], [1, 1]),
        (["a"], ["b"], [2]),
    ],
    ids=["new", "longer", "without its beginning", "another end", "the same again", "shorter", "another one"],
)
def test_words_keep_the_day_on_which_they_were_shown_first(
    before: list[str], after: list[str], days: list[int]
) -> None:
    today = TODAY
    known = DaysOfWords(lambda: today)
    known.of(before)
    today += MIDNIGHT
    shown = known.of(after)
    assert [(day - TODAY).days + 1 for day in shown] == days
    assert known.of(after) == shown
