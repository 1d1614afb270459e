"""What was said and not answered, as it is kept for whoever stands in."""

from __future__ import annotations

import numpy as np

from fishjam_agents.backends import port as p
from fishjam_agents.backends.fallback.pending_input import PendingInput
from fishjam_agents.events import Heard, Turn

START = p.TurnStartedInput("ann", 0.0)
END = p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0))
HELLO = p.TextInput("hello")
SAY = p.TextInput("good morning", verbatim=True, reply="say-1")


def frame() -> p.AudioInput:
    return p.AudioInput("ann", np.zeros(320, np.int16), 0.02)


def told(*entries: p.BackendInput, pending: PendingInput | None = None) -> PendingInput:
    pending = pending or PendingInput(continuous=False)
    for item in entries:
        pending.asked(item)
        pending.sent(item)
    return pending


def answer(pending: PendingInput, reply: str) -> None:
    pending.begun(reply)
    pending.spoken(reply)


def test_a_turn_is_kept_until_there_is_sound_of_a_reply_to_it() -> None:
    pending = told(START, frame(), END)
    assert pending.owed
    pending.begun("r1")
    assert len(pending.unanswered()) == 3
    pending.spoken("r1")
    assert not pending.owed
    assert not pending.unanswered()


def test_sound_of_the_reply_before_is_no_answer() -> None:
    pending = told(HELLO)
    pending.begun("r1")
    told(START, END, pending=pending)
    pending.spoken("r1")
    assert pending.unanswered() == (HELLO, START, END)
    answer(pending, "r2")
    assert not pending.unanswered()


def test_an_answer_that_comes_while_its_question_is_being_sent_counts() -> None:
    pending = told(START)
    pending.asked(END)
    answer(pending, "r1")
    pending.sent(END)
    assert not pending.unanswered()
    pending.asked(SAY)
    answer(pending, "say-1")
    pending.sent(SAY)
    assert not pending.owed


def test_of_a_very_long_turn_the_latest_is_kept_with_its_beginning() -> None:
    frames = [frame() for _ in range(3500)]
    kept = told(START, *frames, END).unanswered()
    assert kept[0] is START
    assert kept[-1] is END
    assert list(kept[1:-1]) == frames[-len(kept) + 2 :]
    assert 2995 <= len(kept) <= 3002


def test_words_of_the_app_are_kept_apart_from_what_users_said() -> None:
    pending = told(HELLO, SAY)
    answer(pending, "r1")
    assert pending.unanswered() == (SAY,)
    pending.spoken("say-1")
    assert not pending.unanswered()


def test_who_speaks_over_an_answer_wants_no_more_of_it() -> None:
    pending = told(HELLO)
    told(p.InterruptInput(Heard("r1", 0.0)), pending=pending)
    assert pending.unanswered() == (HELLO,)
    told(p.InterruptInput(Heard("r1", 1.0)), pending=pending)
    assert not pending.unanswered()


def test_a_tool_that_is_called_makes_its_question_open_again() -> None:
    pending = told(HELLO)
    answer(pending, "r1")
    pending.tool_called()
    assert pending.unanswered() == (HELLO,)
    answer(pending, "r2")
    assert not pending.unanswered()


def test_only_the_last_picture_is_kept() -> None:
    pictures = [p.ImageInput(bytes([number]), "image/jpeg") for number in range(3)]
    assert told(HELLO, *pictures).unanswered() == (HELLO, pictures[-1])
