"""Answers begun at a pause, in a session that is told of every pause and end of a turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade
from fishjam_agents.events import Turn
from fishjam_agents.testing import VirtualClock
from tests.cascade.components import Answers, Speaks, Understands
from tests.cascade.drive import ENDED, SOUND, drive

LONGER = np.ones(20000, np.int16)


PAUSED = port.TurnPausedInput("alice", 1.0, SOUND)


LATER = port.TurnEndedInput(Turn("t1", "alice", "mic", 0.0, 1.25, "limit"), LONGER)


Told = Callable[..., list[port.BackendEvent]]


@pytest.fixture
def told(virtual_clock: VirtualClock) -> Told:
    """Tell a cascade entries, with pauses between them; returns what it tells."""

    def run(
        steps: Sequence[port.BackendInput | float], stt: Understands, llm: Answers, tts: Speaks
    ) -> list[port.BackendEvent]:
        cascade = Cascade([stt], [llm], [tts], preemptive=True)
        return [event for _, event in drive(virtual_clock, cascade, steps).events]

    return run


def became(events: Sequence[port.BackendEvent]) -> list[str]:
    return [event.outcome for event in events if isinstance(event, port.PreemptiveReply)]


def heard(events: Sequence[port.BackendEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, port.ReplyTextDelta)]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (port.TextInput("[Bob came in.]", note=True), "changed"),
        (port.UpdateInput(instructions="Be long."), "changed"),
        (port.UpdateInput(tools=[port.ToolDeclaration("t", "", {})]), "changed"),
        (port.TextInput("Welcome.", verbatim=True, reply="say-1"), "changed"),
        (port.InterruptInput(None), "interrupted"),
        (port.TurnStartedInput("bob", 1.5), "went_on"),
        (port.TurnCancelledInput("alice"), "went_on"),
        (port.TurnResumedInput("alice"), "went_on"),
    ],
)
def test_an_answer_whose_premises_have_changed_is_not_adopted(
    told: Told, change: port.BackendInput, outcome: str
) -> None:
    llm = Answers([["Before. "], ["After. "]])
    events = told([PAUSED, 0.2, change, 0.2, ENDED, 1.0], Understands([["Hi."]]), llm, Speaks())
    assert became(events) == [outcome]
    assert heard(events)[-1] == "After. "
    assert "Before. " not in heard(events)
    assert len(llm.asked) == 2


def test_a_new_picture_changes_nothing(told: Told) -> None:
    image = port.ImageInput(b"png", "image/png")
    llm = Answers([["Before. "]])
    assert became(told([PAUSED, 0.2, image, ENDED, 1.0], Understands([["Hi."]]), llm, Speaks())) == [
        "adopted"
    ]


@pytest.mark.parametrize(("later", "outcome"), [("what is  A fish", "adopted"), ("what is a dish?", "words")])
def test_a_turn_that_ends_later_than_the_pause_is_adopted_only_with_the_same_words(
    told: Told, later: str, outcome: str
) -> None:
    stt = Understands([["What is a fish?"], [0.3, later]])
    llm = Answers([["Before. "], ["After. "]])
    events = told([PAUSED, 0.2, LATER, 2.0], stt, llm, Speaks())
    assert became(events) == [outcome]
    assert heard(events) == ["Before. " if outcome == "adopted" else "After. "]
    assert [len(audio) for audio in stt.heard] == [16000, 20000]
    finals = [event.text for event in events if isinstance(event, port.UserTranscript) and event.final]
    assert finals == [later]


def test_sounds_that_mean_nothing_are_not_answered(told: Told) -> None:
    events = told([PAUSED, 0.2, ENDED, 2.0], Understands([[0.1]]), llm := Answers([["What?"]]), Speaks())
    assert became(events) == ["empty"]
    assert not llm.asked


def test_a_pause_while_something_else_is_being_said_is_not_answered(told: Told) -> None:
    say = port.TextInput("A notice.", verbatim=True, reply="say-1")
    llm = Answers([["Hello. "]])
    events = told([say, 0.1, PAUSED, 0.2, ENDED, 9.0], Understands([["Hi."]]), llm, Speaks(pause=0.5))
    assert became(events) == []
    assert heard(events) == ["A notice. ", "Hello. "]


def test_a_call_that_ends_during_the_pause_closes_everything(told: Told) -> None:
    stt, llm, tts = Understands([["Hi."]]), Answers([["Hello. ", 60.0]]), Speaks(first=60.0)
    assert became(told([PAUSED, 0.2], stt, llm, tts)) == ["interrupted"]
    assert (stt.closed, llm.closed, tts.closed) == (["finished"], ["closed"], ["closed"])


def test_a_speaker_who_goes_on_after_the_end_ends_what_was_adopted(told: Told) -> None:
    stt, llm, tts = Understands([["Hi."]]), Answers([[0.5, "Hello. "], ["Now. "]]), Speaks()
    events = told(
        [PAUSED, 0.1, ENDED, 0.1, port.TurnStartedInput("alice", 2.0), 0.1, ENDED, 1.0], stt, llm, tts
    )
    assert became(events) == ["adopted"]
    assert llm.closed == ["closed", "finished"]
    assert heard(events) == ["Now. "]
