"""What the language model is shown of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, ContextFullError, LLMChunk, LLMToolCall, Message
from fishjam_agents.backends.cascade.context import tokens
from fishjam_agents.backends.cascade.history import IMAGES, History
from fishjam_agents.backends.conversation import CUT
from fishjam_agents.events import Heard
from fishjam_agents.testing import VirtualClock
from tests.cascade.components import Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive

CALL = LLMToolCall("c1", "weather", {})
SUNNY = Message("tool", "sunny", call="c1")


def told(history: History) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages]


def after_a_tool() -> History:
    history = History(None, 1000)
    history.user("Weather?")
    history.assistant("r1", "Let me look.")
    history.assistant("r1", "One moment.")
    history.called([CALL], [SUNNY])
    history.assistant("r1", "It is sunny.")
    history.assistant("r1", "Take a hat.")
    return history


WHOLE = "Let me look. One moment. It is sunny. Take a hat."


@pytest.mark.parametrize(
    ("heard", "before", "after"),
    [
        (WHOLE, "Let me look. One moment.", "It is sunny. Take a hat." + CUT),
        ("Let me look. One moment. It is", "Let me look. One moment.", "It is" + CUT),
        ("Let me look. One moment. ", "Let me look. One moment." + CUT, None),
        ("Let me", "Let me" + CUT, None),
        ("", None, None),
    ],
)
def test_a_reply_is_cut_where_it_was_over_all_its_messages(
    heard: str, before: str | None, after: str | None
) -> None:
    history = after_a_tool()
    history.heard(Heard("r1", 1.0, heard))
    texts = [text for role, text in told(history) if role == "assistant" and text]
    assert texts == [text for text in (before, after) if text is not None]
    # The tool was called, whatever was heard of it.
    assert [role for role, _ in told(history)].count("tool") == 1


def test_a_reply_that_was_never_heard_of_changes_nothing() -> None:
    history = after_a_tool()
    before = history.messages
    history.heard(Heard("r9", 1.0, "Other words."))
    assert history.messages == before


def test_several_sentences_are_cut_in_the_middle_of_one() -> None:
    history = History("Be brief.", 1000)
    history.user("Tell me.")
    for sentence in ("One.", "Two and more.", "Three."):
        history.assistant("r1", sentence)
    history.heard(Heard("r1", 1.0, "One. Two and"))
    history.user("Stop.")
    assert told(history) == [
        ("system", "Be brief."),
        ("user", "Tell me."),
        ("assistant", "One. Two and" + CUT),
        ("user", "Stop."),
    ]


def test_the_oldest_exchanges_go_first_and_all_that_belongs_to_them() -> None:
    history = History(None, 50)
    history.assistant("r0", "Welcome. " * 5)
    for number in range(3):
        history.user(f"Question {number}, which is of some length.")
        history.called([CALL], [SUNNY])
        history.assistant(f"r{number}", "Sunny.")
        assert tokens(history.messages) <= 50
    assert [text for role, text in told(history) if role == "user"] == [
        "Question 2, which is of some length."
    ]
    assert told(history)[0][0] == "user"


def test_what_is_being_answered_stays_however_long_it_is() -> None:
    history = History(None, 50)
    history.user("Zero.")
    history.user("One.")
    for _ in range(4):
        history.called(
            [CALL, CALL],
            [Message("tool", "sunny " * 10, call="c1"), Message("tool", "rainy " * 10, call="c1")],
        )
    history.assistant("r1", "Mixed.")
    assert told(history)[0] == ("user", "One.")
    assert len(history.messages) == 1 + 4 * 3 + 1


def test_a_long_call_is_shown_up_to_its_limit_and_no_further() -> None:
    history = History("Be brief.", 2000)
    for number in range(500):
        history.user(f"This is what the user says as number {number}, and it is not short.")
        history.assistant(f"r{number}", "This is what the assistant says to it, in a sentence of its own.")
        assert tokens(history.messages[1:]) <= 2000 + 40
    assert tokens(history.messages) > 1200
    assert told(history)[0] == ("system", "Be brief.")
    assert told(history)[1][0] == "user"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("word " * 100, 100, 150), ("слово " * 100, 150, 350), ("今天天气很好" * 20, 80, 160), ("", 0, 5)],
)
def test_tokens_are_about_those_of_vendors(text: str, least: int, most: int) -> None:
    assert least <= tokens([Message("user", text)]) <= most


# --- a model without room ---


def small(room: int, *answers: str) -> Answers:
    """A model with room for so many tokens."""

    class Small(Answers):
        async def reply(
            self, messages: Sequence[Message], tools: Sequence[port.ToolDeclaration]
        ) -> AsyncIterator[LLMChunk]:
            if tokens(messages) > room:
                self.asked.append(list(messages))
                raise ContextFullError("too long: shorten it", retryable=True, failure="config")
            yield LLMToolCall(f"c{len(self.asked)}", "look", {}) if messages[-1].text == "Look." else "Sure. "
            self.asked.append(list(messages))

    return Small([answers])


def test_a_conversation_without_room_is_asked_again_without_its_oldest_exchanges(
    virtual_clock: VirtualClock,
) -> None:
    words = [[f"Question {number}, " + "and so on " * 20] for number in range(12)]
    cascade = Cascade([Understands(words)], [llm := small(300)], [Speaks()])
    cascades = [step for _ in words for step in (ENDED, 5.0)]
    told = drive(virtual_clock, cascade, cascades)
    assert told.text == ["Sure."] * 12
    assert not told.of(port.BackendWarning)
    # Once it is known how much there is room for, the requests that follow keep to it mostly.
    refused = sum(tokens(messages) > 300 for messages in llm.asked)
    assert 1 <= refused <= 6


def test_an_answer_of_a_tool_without_room_is_shortened(virtual_clock: VirtualClock) -> None:
    cascade = Cascade([Understands([["Look."]])], [llm := small(1000)], [Speaks()])
    found = port.ToolResultInput("c0", "found " * 3000)
    told = drive(virtual_clock, cascade, [ENDED, 1.0, found, 5.0])
    assert told.text == ["Sure."]
    assert llm.asked[-1][-1].text.endswith("[cut here: there is no room for more]")


def test_where_nothing_can_be_left_out_the_answer_is_told_as_missing(virtual_clock: VirtualClock) -> None:
    cascade = Cascade([Understands([["word " * 500]])], [llm := small(100)], [Speaks()])
    told = drive(virtual_clock, cascade, [ENDED, 1.0])
    (missing,) = told.of(port.Unanswered)
    assert missing.unanswered == "config"
    assert len(llm.asked) == 1


def test_a_question_beside_the_conversation_fits_too(virtual_clock: VirtualClock) -> None:
    words = [["and so on " * 30] for _ in range(6)]
    cascade = Cascade([Understands(words)], [small(300)], [Speaks()])
    steps = [step for _ in words for step in (ENDED, 5.0)]
    told = drive(virtual_clock, cascade, [*steps, port.OutOfBandInput("q1", "What " * 100), 1.0])
    (answered,) = told.of(port.OutOfBandResponse)
    assert (answered.text, answered.error) == ("Sure.", None)


def test_an_answer_that_was_begun_at_a_pause_fits_too(virtual_clock: VirtualClock) -> None:
    words = [["and so on " * 30] for _ in range(6)]
    cascade = Cascade([Understands(words)], [small(300)], [Speaks()], preemptive=True)
    pause = port.TurnPausedInput("alice", 1.0, ENDED.audio)
    steps = [step for _ in words for step in (pause, 0.5, ENDED, 5.0)]
    told = drive(virtual_clock, cascade, steps)
    assert told.text == ["Sure."] * 6


def test_another_model_does_not_stand_in_for_one_without_room(virtual_clock: VirtualClock) -> None:
    words = [["and so on " * 30] for _ in range(6)]
    second = Answers([["Never. "]])
    cascade = Cascade([Understands(words)], [small(300), second], [Speaks()])
    told = drive(virtual_clock, cascade, [step for _ in words for step in (ENDED, 5.0)])
    assert told.text == ["Sure."] * 6
    assert not second.asked


def test_every_change_is_another_version_and_a_look_ahead_is_none() -> None:
    history = History(None, 1000)
    versions = [history.version]
    for change in (
        lambda: history.user("Hi."),
        lambda: history.assistant("r1", "Hello."),
        lambda: history.assistant("r1", "More."),
        lambda: history.called([CALL], [SUNNY]),
        lambda: history.heard(Heard("r1", 0.1, "Hello.")),
    ):
        change()
        versions.append(history.version)
    assert len(set(versions)) == len(versions)
    before = history.messages
    assert history.followed_by("What now?") == [*before, Message("user", "What now?")]
    assert (history.messages, history.version) == (before, versions[-1])


def test_late_words_of_a_turn_do_not_change_an_earlier_one_that_said_the_same() -> None:
    history = History(None, 1000)
    history.user("Yes.")
    history.assistant("r1", "More?")
    said = history.reworded(history.user("Yes."), "Yes, but")
    history.assistant("r2", "But?")
    history.reworded(said, "Yes, but no.")
    assert told(history) == [
        ("user", "Yes."),
        ("assistant", "More?"),
        ("user", "Yes, but no."),
        ("assistant", "But?"),
    ]


def test_late_words_reach_a_turn_whose_picture_is_shown_no_more() -> None:
    history = History(None, 10_000)
    history.user("This.")
    history.image(b"1", "image/png", ("ann", "camera"))
    said = history.user("This.")
    history.image(b"2", "image/png", ("ann", "camera"))
    history.user("And this?")
    history.reworded(said, "This one.")
    assert [text for _, text in told(history)] == ["This.", "This one.", "And this?"]


# --- pictures ---


def test_the_latest_pictures_go_with_the_next_words_and_no_older_ones_are_shown() -> None:
    history = History(None, 10_000)
    history.image(b"old", "image/png", ("alice", "camera"))
    history.image(b"new", "image/png", ("alice", "camera"))
    history.image(b"screen", "image/jpeg", ("alice", "screen"))
    history.user("What is this?")
    assert history.messages[0].images == ((b"new", "image/png"), (b"screen", "image/jpeg"))
    history.user("And that?")
    assert [bool(message.images) for message in history.messages] == [True, False]
    history.image(b"newest", "image/png", ("alice", "camera"))
    assert [bool(message.images) for message in history.followed_by("Now?")] == [False, False, True]
    history.user("Now?")
    assert [bool(message.images) for message in history.messages] == [False, False, True]


def test_pictures_are_bounded() -> None:
    history = History(None, 10_000)
    for number in range(10):
        history.image(bytes([number]), "image/png", (None, str(number)))
    history.user("What is this?")
    assert [data for data, _ in history.messages[0].images] == [bytes([n]) for n in range(10 - IMAGES, 10)]


class Sees(Answers):
    vision = True


def test_a_cascade_takes_pictures_if_one_of_its_models_sees(virtual_clock: VirtualClock) -> None:
    parts = [Understands([["Hi."]])], [Speaks()]
    blind, sees = Answers([["I cannot see. "]]), Sees([["A fish. "]])
    assert not Cascade(parts[0], [blind], parts[1]).capabilities.images
    for models in ([sees, blind], [blind, sees]):
        cascade = Cascade(parts[0], models, parts[1])
        assert cascade.capabilities.images
        drive(virtual_clock, cascade, [port.ImageInput(b"fish", "image/png", "alice", "camera"), ENDED, 1.0])
    assert [len(message.images) for message in sees.asked[0]] == [1]
    assert [len(message.images) for message in blind.asked[0]] == [0]
