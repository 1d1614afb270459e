"""A cascade before and behind another backend: its parts fail, it is told what was said."""

from __future__ import annotations

from collections import deque

import pytest

from fishjam_agents.backends import Parrot
from fishjam_agents.backends import port as p
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.backends.fallback_kit import REFUSED, WORDS, bot_with, failures, reply
from tests.cascade.components import Answers, Speaks, Understands

NO_VOICE = BackendError("no such voice: choose another", failure="config")


def cascade(llm: Answers, tts: Speaks | None = None) -> Cascade:
    return Cascade([Understands([["what is a fish?"]])], [llm], [tts or Speaks()])


def test_a_turn_whose_answer_a_part_refuses_is_answered_by_the_stand_in() -> None:
    first = cascade(Answers([[REFUSED]]))
    with MemoryCall(bot_with(first, Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(3)
        call.expect("reply_ended", count=1)
        assert failures(call) == [f"Parrot stands in for Cascade: {REFUSED}"]


def test_a_turn_that_a_part_cannot_answer_twice_is_answered_by_the_stand_in() -> None:
    away = BackendError("the model is away: wait", retryable=True)
    with MemoryCall(bot_with(cascade(Answers([[away], [away]])), Parrot()), trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(3)
        call.expect("reply_ended", count=1)
        told = "a reply could not be given: the model is away: wait"
        assert failures(call) == [told, f"Parrot stands in for Cascade: {told}"]


def test_words_that_a_cascade_has_no_voice_for_are_spoken_by_the_next_one() -> None:
    silent, speaks = Speaks(errors=deque([NO_VOICE])), Speaks()
    answers = Answers([["Hello."]])
    bot = bot_with(cascade(answers, silent), cascade(answers, speaks))
    with MemoryCall(bot, trouble=True) as call:
        speech = bot.say("Good morning.")
        call.until("reply_ended")
        assert speech.heard.text.strip() == "Good morning."
        assert (silent.said, speaks.said) == (["Good morning."], ["Good morning."])
        call.expect("reply_started", count=1)


def test_a_cascade_that_stands_in_knows_what_was_said_and_answers_what_was_not() -> None:
    first = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(
                p.TurnEndedInput,
                [p.UserTranscript("good day", final=True), *reply("r1", text="Good day to you.")],
            ),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [1.0, REFUSED]),
        ]
    )
    answers = Answers([["An animal."]])
    bot = bot_with(first, cascade(answers))
    bot.instructions = "Be brief."
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        for number in (1, 2):
            ann.say(WORDS)
            call.until("reply_ended" if number == 1 else "reply_ended 2")
        (messages,) = answers.asked
        assert [message.role for message in messages] == ["system", "user"]
        assert "user: good day\nyou: Good day to you.\n" in messages[0].text
        assert messages[1].text == "what is a fish?"
        ended = call.expect("reply_ended 2")
        assert ended is not None
        assert ended["heard"]["seconds"] == pytest.approx(0.5, abs=0.05)
