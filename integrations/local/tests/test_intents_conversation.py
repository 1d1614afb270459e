"""Conversations with the dialogue of the offline assistant, by the real vectors."""

from __future__ import annotations

from pathlib import Path

import pytest
from fishjam_agents_local.intents.understanding import YES, begins, doubts, leaves

from integrations.local.tests.talk import Minds, Talk

DIALOGUE = Path(__file__).parents[3] / "examples" / "offline_assistant" / "dialogue.yaml"
BOOKED = {"people": 4, "day": "2026-12-04", "time": "19:30", "name": "Miller"}


@pytest.fixture(scope="module")
def minds() -> Minds:
    return Minds(DIALOGUE)


def test_a_booking_asks_for_what_is_missing_and_confirms_it(minds: Minds) -> None:
    talk = Talk(minds, book_table="17")
    assert talk.say("I'd like to book a table, please.") == "For how many people?"
    assert talk.say("Four.") == "On which day?"
    assert talk.say("On Friday.") == "At what time?"
    assert talk.say("Half past seven.") == "Under which name?"
    assert (
        talk.say("Miller.")
        == "A table for 4, Friday, December 4 at 7:30 pm, under the name of Miller. Is that right?"
    )
    assert not talk.calls
    assert talk.say("Yes, please.") == "It is booked. Your number is 17."
    assert [(call.tool, call.arguments) for call in talk.calls] == [("book_table", BOOKED)]


def test_what_was_said_already_is_not_asked_for(minds: Minds) -> None:
    talk = Talk(minds)
    answer = talk.say("Can I get a table for 4 on Friday at 7:30 under Miller?")
    assert answer == "A table for 4, Friday, December 4 at 7:30 pm, under the name of Miller. Is that right?"
    assert talk.say("No, make it Saturday for five people.").startswith("A table for 5, Saturday, December 5")
    assert talk.say("No.") == "What shall I change?"
    assert talk.say("The name.") == "Under which name?"
    assert "Brown" in talk.say("It's Brown.")
    talk.say("That's right.")
    (call,) = talk.calls
    assert call.arguments == {"people": 5, "day": "2026-12-05", "time": "19:30", "name": "Brown"}


def test_a_question_in_between_is_answered_and_the_form_goes_on(minds: Minds) -> None:
    talk = Talk(minds, current_time="5 pm")
    talk.say("I want to reserve a table.")
    answer = talk.say("What are your opening hours?")
    assert answer.startswith("We are open")
    assert answer.endswith("For how many people?")
    assert talk.say("What time is it?") == "It is 5 pm. For how many people?"
    assert talk.say("Two.") == "On which day?"
    # A day in a question about something else is no answer, and an answer is one in any words.
    assert talk.say("What time do you close on Sundays?").endswith("On which day?")
    assert talk.say("Is next Saturday possible?") == "At what time?"


def test_who_changes_their_mind_is_left_alone(minds: Minds) -> None:
    talk = Talk(minds)
    talk.say("I want to reserve a table.")
    assert talk.say("Never mind.").startswith("All right, we leave it")
    assert talk.say("Hello!") == "Hello! What can I do for you?"
    assert not talk.calls


def test_another_wish_takes_the_place_of_a_form(minds: Minds) -> None:
    talk = Talk(minds, set_timer="5 minutes")
    talk.say("I want to reserve a table.")
    assert talk.say("Set a timer for five minutes.") == "I will speak up in 5 minutes."
    assert [(call.tool, call.arguments) for call in talk.calls] == [("set_timer", {"duration": 300})]


def test_what_is_out_of_bounds_is_asked_again(minds: Minds) -> None:
    talk = Talk(minds)
    talk.say("I want to book a table.")
    assert talk.say("For thirty people.") == "We have tables for up to twelve people. For how many people?"
    assert talk.say("Six.") == "On which day?"
    talk.say("Tomorrow.")
    assert talk.say("At eleven pm").startswith("The kitchen is open from five to ten")
    assert talk.say("Then at eight") == "Under which name?"


def test_a_question_that_is_never_understood_is_given_up(minds: Minds) -> None:
    talk = Talk(minds)
    talk.say("I want to book a table.")
    assert talk.say("Blue elephants.") == "Sorry, I did not get that. For how many people?"
    talk.say("Blue elephants.")
    assert talk.say("Blue elephants.").startswith("All right, we leave it at that.")


def test_a_tool_that_fails_is_said_in_its_words(minds: Minds) -> None:
    talk = Talk(minds, cancel_booking="error: cancel_booking: there is no booking 3.")
    assert talk.say("Please cancel my booking.") == "What is the number of your booking?"
    asked_again = "I am sorry, there is no booking 3. What is the number of your booking?"
    assert talk.say("3.") == asked_again
    assert talk.say("13.") == asked_again
    assert [call.arguments for call in talk.calls] == [{"number": 3}, {"number": 13}]


def test_yes_to_a_question_that_was_not_heard_books_nothing(minds: Minds) -> None:
    talk = Talk(minds, book_table="17")
    confirm = talk.say("A table for 4 on Friday at 7:30 under Miller, please.", heard=0.3)
    assert talk.say("Yes.") == confirm
    assert not talk.calls
    assert talk.say("Yes.") == "It is booked. Your number is 17."
    assert len(talk.calls) == 1


@pytest.mark.parametrize(
    "text",
    ["Okay, cancel that.", "OK, forget it.", "All right, never mind.", "Yes, cancel it.", "Fine, stop."],
)
def test_who_agrees_to_leave_it_is_left_alone(minds: Minds, text: str) -> None:
    talk = Talk(minds, book_table="17")
    talk.say("A table for 4 on Friday at 7:30 under Miller, please.")
    assert talk.say(text).startswith("All right, we leave it at that.")
    assert not talk.calls


@pytest.mark.parametrize(
    "text", ["Okay, wait.", "Yes. Don't book it.", "Right, hold on.", "Okay, please don't.", "Yes, but no."]
)
def test_yes_that_is_taken_back_books_nothing(minds: Minds, text: str) -> None:
    talk = Talk(minds, book_table="17")
    talk.say("A table for 4 on Friday at 7:30 under Miller, please.")
    talk.say(text)
    assert not talk.calls


def test_yes_to_a_question_whether_to_cancel_may_name_it() -> None:
    question = "Shall I cancel booking 3?"
    assert begins("Yes, cancel it.", YES)
    assert not doubts("Yes, cancel it.", question)
    assert not leaves("Yes, cancel it.", question)
    assert leaves("Yes, cancel it.", "A table for 4. Is that right?")
    assert doubts("Yes, but not that one.", question)


def test_yes_after_the_details_were_heard_books(minds: Minds) -> None:
    talk = Talk(minds, book_table="17")
    talk.say("A table for 4 on Friday at 7:30 under Miller, please.", heard=0.9)
    assert talk.say("Yes.") == "It is booked. Your number is 17."


def test_a_booking_that_was_not_heard_of_is_told_first(minds: Minds) -> None:
    talk = Talk(minds, book_table="17", current_time="5 pm")
    talk.say("A table for 4 on Friday at 7:30 under Miller, please.")
    assert talk.say("Yes.", heard=0.2) == "It is booked. Your number is 17."
    # Who hears it now, before the answer to something else, needs it no more.
    assert talk.say("Where are you?").startswith("I was saying: It is booked. Your number is 17. You find us")
    assert talk.say("Where are you?").startswith("You find us")
    assert len(talk.calls) == 1


def test_a_sound_over_a_result_brings_it_again(minds: Minds) -> None:
    talk = Talk(minds, current_time="5 pm")
    talk.say("What time is it?", heard=0.0)
    assert talk.say("Hm hm hm") == "It is 5 pm."
    assert len(talk.calls) == 1


def test_a_sentence_in_two_parts_is_one(minds: Minds) -> None:
    talk = Talk(minds)
    talk.say("I would like to book", answered=False)
    assert talk.say("a table for four.") == "On which day?"


def test_what_was_said_is_said_again(minds: Minds) -> None:
    talk = Talk(minds)
    address = talk.say("Where are you?", heard=0.3)
    assert talk.say("Pardon?") == address
    talk.tell("Your timer is over.")
    assert talk.say("What did you say?") in (address, "Your timer is over.")


def test_who_asks_what_it_can_do_is_told(minds: Minds) -> None:
    assert Talk(minds).say("What can you do?").startswith("I can book a table, cancel a booking")


def test_goodbye_is_said_before_the_call_ends(minds: Minds) -> None:
    talk = Talk(minds)
    assert talk.say("Goodbye!") == "Goodbye, and see you soon."
    assert [call.tool for call in talk.calls] == ["end_call"]


UNSURE = """
margin: 0.999
intents:
  lamp:
    about: switch the lamp on
    examples: [turn on the lamp, lamp on please, switch on the lamp]
    tool: lamp
    answer: There is light.
  radio:
    about: switch the radio on
    examples: [turn on the radio, radio on please, switch on the radio]
    tool: radio
    answer: Here is the news.
"""
"""A dialogue that is never sure."""


def test_what_is_not_clear_is_asked_back_and_at_last_the_menu_is_told(tmp_path: Path) -> None:
    (tmp_path / "dialogue.yaml").write_text(UNSURE)
    minds = Minds(tmp_path / "dialogue.yaml")
    lamp = "Did you mean to switch the lamp on, or to switch the radio on?"
    radio = "Did you mean to switch the radio on, or to switch the lamp on?"
    menu = "I can switch the lamp on or switch the radio on. What would you like?"
    both = ["There is light.", "Here is the news."]

    talk = Talk(minds)
    asked, second, third = [talk.say("Switch it on, please.") for _ in range(3)]
    assert asked in (lamp, radio)
    assert (second, third) == (menu, asked)
    if asked == radio:
        both.reverse()
    assert talk.say("The second one.") == both[1]
    assert talk.say("Switch it on, please.") == asked
    assert talk.say("Yes, please.") == both[0]
    assert talk.say("Switch it on, please.") == asked
    assert talk.say("No.") == menu
    # "Yes" to a question that nobody heard means nothing.
    assert talk.say("Switch it on, please.", heard=0.3) == asked
    assert talk.say("Yes.") not in both
    assert len(talk.calls) == 2


def test_a_pause_in_a_wish_that_was_carried_out_is_no_second_wish(minds: Minds) -> None:
    talk = Talk(minds, set_timer="5 minutes")
    talk.say("Set a timer for five minutes.", heard=0.0)
    # The result was not heard: who goes on is told it, and the timer is set once.
    assert talk.say("Thank you.") == "I will speak up in 5 minutes."
    assert len(talk.calls) == 1


def test_notes_of_the_pipeline_are_not_words_of_the_user(minds: Minds) -> None:
    assert Talk(minds).say("[alice speaks] [a note: [1, 2]] Where are you?").startswith("You find us")
