"""What a backend that stands in is told: the conversation, what had no answer, and only what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fishjam_agents import tool
from fishjam_agents.backends import Capabilities, Fallback, Wav
from fishjam_agents.backends import port as p
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.backends.fallback_kit import (
    FIXTURES,
    LOST,
    REFUSED,
    TALKS,
    WORDS,
    Linked,
    bot_with,
    kinds,
    link,
    reply,
    warnings,
)


def test_the_stand_in_knows_the_conversation_as_it_was_heard() -> None:
    said = reply("r1", 10.0, text="one two three four five six seven eight nine ten")[:-1]
    first = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.UserTranscript("count for me", final=True, peer="ann"), *said]),
            Step(p.InterruptInput),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [REFUSED]),
        ],
        Capabilities(truncate=True),
    )
    second = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput)])
    bot = bot_with(first, second)
    bot.instructions = "Be brief."
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_first_audio")
        call.wait(2)
        ann.say(WORDS)
        call.until("backend_failure")
        call.wait(1)
        cut = call.expect("reply_interrupted")
        second.finish()
    assert cut is not None
    (told,) = [conversation.instructions for conversation in second.connections]
    assert told == (
        "Be brief.\n\nYou take over a conversation that is under way. So far was said:\n"
        f"user: count for me\nyou: {cut['heard']['text']} [broken off]\n"
        "Go on from there, and do not greet again."
    )
    assert 0 < len(cut["heard"]["text"]) < 40
    # The turn after that had no answer; the one before it had.
    assert kinds(second.entries) == ["TurnStartedInput", "AudioInput", "TurnEndedInput"]


def test_new_instructions_and_text_reach_whoever_serves_the_call() -> None:
    first = Scripted([Step(p.UpdateInput), Step(p.TextInput, [*reply("r1"), 3.0, REFUSED])], TALKS)
    second = Scripted([Step(p.UpdateInput)], TALKS)

    async def script(linked: Linked) -> None:
        linked.put(p.UpdateInput("Be kind."), p.TextInput("hello there"))
        await asyncio.sleep(5)
        linked.put(p.UpdateInput("Be funny."))
        await asyncio.sleep(1)

    link(Fallback([first, second]), script)
    (conversation,) = second.connections
    told = conversation.instructions or ""
    assert told.startswith("Be kind.\n\nYou take over")
    assert "user: hello there\nyou: hello\n" in told
    # The system prompt is replaced, and what came before is still known.
    (update,) = second.entries
    assert isinstance(update, p.UpdateInput)
    assert update.instructions == told.replace("Be kind.", "Be funny.")


class Booking(AgentPipeline):
    """Counts what it books."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[str] = []

    @tool
    async def book(self, table: str) -> str:
        """Book a table."""
        self.booked.append(table)
        await asyncio.sleep(4)
        return f"booked {table}"


BOOK = p.ToolCall("c1", "book", {"table": "A"})


@pytest.mark.parametrize("asked", [BOOK, p.ToolCall("c7", "book", {"table": "table A"})])
@pytest.mark.parametrize("after", [0.5, 3.0, 4.5])
def test_a_tool_that_the_failed_backend_called_is_not_run_again_for_the_stand_in(
    after: float, asked: p.ToolCall
) -> None:
    """The question is asked again, while the tool runs or when it is done and the model has said nothing."""
    ill = [Step(p.ToolResultInput, [REFUSED])] if after > 4 else []
    called = [BOOK] if after > 4 else [BOOK, after, REFUSED]
    first = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, called), *ill], TALKS)
    second = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [asked]),
            Step(p.ToolResultInput, reply("r1")),
        ],
        TALKS,
    )
    bot = Booking()
    bot.backend = Fallback([first, second])
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("reply_ended")
        call.wait(3)
        second.finish()
        outcomes = [event["outcome"] for event in call.events if event["kind"] == "tool_called"]
        assert sorted(outcomes) == ["ok", "repeated"]
    assert bot.booked == ["A"]
    (result,) = [entry for entry in second.entries if isinstance(entry, p.ToolResultInput)]
    assert result.call == asked.call
    assert "booked A" in result.result
    assert not result.error


def test_what_the_failed_backends_tool_has_done_is_told_to_a_stand_in_that_does_not_ask() -> None:
    first = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, [BOOK, 1.0, REFUSED])], TALKS)
    second = Scripted(
        [Step(p.TurnStartedInput), Step(p.TurnEndedInput, reply("r1")), Step(p.TextInput)], TALKS
    )
    bot = Booking()
    bot.backend = Fallback([first, second])
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        ann.say(WORDS)
        call.until("tool_called")
        call.wait(1)
        second.finish()
    (note,) = [entry for entry in second.entries if isinstance(entry, p.TextInput)]
    assert note == p.TextInput(
        '[book({"table":"A"}) was called before and not stopped; it answered: booked A]', note=True
    )


def test_a_later_question_may_have_the_same_done_again() -> None:
    backend = Scripted(
        [
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [BOOK]),
            Step(p.ToolResultInput, reply("r1")),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [0.5, LOST]),
            Step(p.TurnStartedInput),
            Step(p.TurnEndedInput, [p.ToolCall("c2", "book", {"table": "A"})]),
            Step(p.ToolResultInput, reply("r2")),
        ],
        TALKS,
    )
    bot = Booking()
    bot.backend = Fallback([backend, Scripted([], TALKS)])
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.wait(0.5)
        for number in (1, 2):
            ann.say(WORDS)
            call.until(f"reply_ended {number}")
            call.wait(1)
        backend.finish()
    assert bot.booked == ["A", "A"]


def test_given_words_are_spoken_by_the_stand_in_under_the_apps_id() -> None:
    first = Scripted([Step(p.TextInput, [1.0, REFUSED])], TALKS)
    second = Scripted([Step(p.TextInput, reply("say-1"))], TALKS)
    bot = bot_with(first, second)
    with MemoryCall(bot, trouble=True) as call:
        speech = bot.say("good morning")
        call.until("reply_ended")
        assert speech.done
        assert speech.seconds == pytest.approx(0.5)
        second.finish()


@pytest.mark.parametrize("end", [[1.0], [p.ReplyAudioEnded("say-1")]])
def test_given_words_that_had_begun_without_a_sound_are_spoken_by_the_stand_in(end: list[Any]) -> None:
    begun = [p.ReplyStarted("say-1"), p.ReplyTextDelta("say-1", "good morning")]
    first = Scripted([Step(p.TextInput, [*begun, *end, REFUSED])], TALKS)
    second = Scripted([Step(p.TextInput, reply("say-1", text="good morning")), Step(p.TextInput)], TALKS)
    bot = bot_with(first, second)
    with MemoryCall(bot, trouble=True) as call:
        speech = bot.say("good morning")
        call.until("reply_ended")
        assert speech.heard.text == "good morning"
        call.expect("reply_started", count=1)
        bot.send_text("hello")
        call.wait(0.5)
        second.finish()


def test_given_words_that_nobody_speaks_are_over() -> None:
    first = Scripted([Step(p.TextInput, [p.ReplyStarted("say-1"), p.ReplyAudioEnded("say-1")])], TALKS)
    bot = bot_with(first, Scripted([], TALKS))
    with MemoryCall(bot) as call:
        speech = bot.say("good morning")
        call.run(asyncio.wait_for(_all([speech]), 5))
        assert speech.seconds == 0.0


def test_what_a_stand_in_cannot_do_is_told_once_and_holds_nothing_up() -> None:
    first = Scripted([Step(None, [1.0, REFUSED])], TALKS)
    bot = bot_with(first, Wav(FIXTURES / "alice_yes.wav"))
    with MemoryCall(bot, trouble=True) as call:
        ann = call.join("ann")
        call.until("backend_failure")
        speeches = [bot.say("good morning"), bot.say("good evening")]
        for _ in range(2):
            bot.send_text("hello")
        call.run(asyncio.wait_for(_all(speeches), 5))
        assert [speech.seconds for speech in speeches] == [0.0, 0.0]
        ann.say(WORDS)
        call.until("user_turn_ended")
        call.wait(4)
        assert warnings(call) == [
            "Wav stands in and takes no words to speak (say): none goes to it",
            "Wav stands in and takes no text: none goes to it",
        ]


async def _all(speeches: Sequence[Any]) -> None:
    for speech in speeches:
        await speech


ASKED = Capabilities(text=True, out_of_band=True)


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (ASKED, p.OutOfBandResponse("q1", "forty-two")),
        (
            Capabilities(text=True),
            p.OutOfBandResponse("q1", error="Scripted (2 of 2) stands in and cannot be asked"),
        ),
    ],
)
def test_a_question_of_the_app_is_answered_once_by_whoever_serves_the_call(
    offers: Capabilities, answer: p.OutOfBandResponse
) -> None:
    first = Scripted([Step(p.OutOfBandInput, [1.0, REFUSED])], ASKED)
    second = Scripted([Step(p.OutOfBandInput, [answer])] * offers.out_of_band, offers)

    async def script(linked: Linked) -> None:
        linked.put(p.OutOfBandInput("q1", "how much is it"))
        await asyncio.sleep(5)

    linked = link(Fallback([first, second]), script)
    second.finish()
    assert [event for event in linked.events if isinstance(event, p.OutOfBandResponse)] == [answer]


def test_what_a_model_chose_not_to_answer_is_not_asked_again_much_later() -> None:
    first = Scripted([Step(p.TextInput, [100.0, REFUSED])], TALKS)
    second = Scripted([], TALKS)

    async def script(linked: Linked) -> None:
        linked.put(p.TextInput("never mind"))
        await asyncio.sleep(120)

    link(Fallback([first, second]), script)
    assert not second.entries
    assert "user: never mind" in (second.connections[0].instructions or "")
