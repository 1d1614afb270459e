"""What the language model is shown of a conversation."""

from __future__ import annotations

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, Message, Requested
from fishjam_agents.backends.cascade.history import CUT, IMAGES, History
from fishjam_agents.events import Heard
from fishjam_agents.testing import VirtualClock
from tests.cascade.drive import ENDED, drive
from tests.cascade.parts import Answers, Speaks, Understands

CALL = Requested("c1", "weather", {})


def told(history: History) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages]


def after_a_tool() -> History:
    history = History(None, 100)
    history.user("Weather?")
    history.assistant("r1", "Let me look.")
    history.assistant("r1", "One moment.")
    history.called([CALL], ["sunny"])
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
    history = History("Be brief.", 100)
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


def test_the_oldest_go_first_and_an_answer_goes_with_its_call() -> None:
    history = History(None, 3)
    history.user("One.")
    history.called([CALL], ["sunny"])
    history.assistant("r1", "Sunny.")
    history.user("Two.")
    assert told(history) == [("assistant", "Sunny."), ("user", "Two.")]


def test_what_is_being_answered_stays_however_many_tools_it_takes() -> None:
    history = History(None, 2)
    history.user("Zero.")
    history.user("One.")
    for _ in range(4):
        history.called([CALL, CALL], ["sunny", "rainy"])
    history.assistant("r1", "Mixed.")
    assert told(history)[0] == ("user", "One.")
    assert len(history.messages) == 1 + 4 * 3 + 1


def test_every_change_is_another_version_and_a_look_ahead_is_none() -> None:
    history = History(None, 10)
    versions = [history.version]
    for change in (
        lambda: history.user("Hi."),
        lambda: history.assistant("r1", "Hello."),
        lambda: history.assistant("r1", "More."),
        lambda: history.called([CALL], ["sunny"]),
        lambda: history.heard(Heard("r1", 0.1, "Hello.")),
    ):
        change()
        versions.append(history.version)
    assert len(set(versions)) == len(versions)
    before = history.messages
    assert history.followed_by("What now?") == [*before, Message("user", "What now?")]
    assert (history.messages, history.version) == (before, versions[-1])


# --- pictures ---


def test_the_latest_pictures_go_with_the_next_words_and_no_older_ones_are_shown() -> None:
    history = History(None, 10)
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
    history = History(None, 10)
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
        drive(virtual_clock, cascade, [port.ImageEntry(b"fish", "image/png", "alice", "camera"), ENDED, 1.0])
    assert [len(message.images) for message in sees.asked[0]] == [1]
    assert [len(message.images) for message in blind.asked[0]] == [0]
