"""What an app asks a cascade's model beside the conversation, in virtual time."""

from __future__ import annotations

import pytest

from fishjam_agents.backends import port
from fishjam_agents.backends.cascade import Cascade, LLMUsage, Reasoning
from fishjam_agents.errors import BackendError
from fishjam_agents.testing import VirtualClock
from tests.cascade.components import Answers, Speaks, Understands
from tests.cascade.drive import ENDED, drive

ASK = port.OutOfBandInput("q1", "How many fish?")
HI = Understands([["Hi."]])


def test_a_question_knows_the_conversation_and_does_not_become_part_of_it(
    virtual_clock: VirtualClock,
) -> None:
    llm = Answers(
        [
            ["Hello. "],
            [Reasoning("hm"), "<think>two?</think> For", "ty-two.", LLMUsage({"tokens": 3})],
            ["Bye."],
        ]
    )
    told = drive(virtual_clock, Cascade([HI], [llm], [tts := Speaks()]), [ENDED, 1.0, ASK, 1.0, ENDED, 1.0])
    assert told.of(port.OutOfBandResponse) == [port.OutOfBandResponse("q1", "Forty-two.")]
    assert tts.said == ["Hello.", "Bye."]
    shown = [[message.text for message in messages] for messages in llm.asked]
    assert shown == [["Hi."], ["Hi.", "Hello.", "How many fish?"], ["Hi.", "Hello.", "Hi."]]
    assert told.of(port.BackendUsage) == [port.BackendUsage({"tokens": 3})]


def test_a_question_without_an_answer_says_why(virtual_clock: VirtualClock) -> None:
    llm = Answers([[BackendError("the model is overloaded", retryable=True)]])
    told = drive(virtual_clock, Cascade([HI], [llm], [Speaks()]), [ASK, 1.0])
    assert told.of(port.OutOfBandResponse) == [port.OutOfBandResponse("q1", error="the model is overloaded")]


def test_a_question_is_given_up_with_the_call_and_not_with_a_reply(virtual_clock: VirtualClock) -> None:
    llm = Answers([[5.0, "Two."]])
    cascade = Cascade([HI], [llm], [Speaks()])
    told = drive(virtual_clock, cascade, [ASK, 1.0, port.InterruptInput(None), 5.0])
    assert told.of(port.OutOfBandResponse) == [port.OutOfBandResponse("q1", "Two.")]
    assert drive(virtual_clock, cascade, [ASK, 1.0]).of(port.OutOfBandResponse) == []
    assert llm.closed == ["finished", "closed"]


@pytest.mark.parametrize("preemptive", [True, False])
def test_a_question_leaves_an_answer_that_was_begun_alone(
    virtual_clock: VirtualClock, preemptive: bool
) -> None:
    llm = Answers([["Hello. "], ["Two."]] if preemptive else [["Two."], ["Hello. "]])
    pause = port.TurnPausedInput("alice", 1.0, ENDED.audio)
    cascade = Cascade([HI], [llm], [Speaks()], preemptive=preemptive)
    told = drive(virtual_clock, cascade, [pause, 0.1, ASK, 0.1, ENDED, 1.0])
    assert told.text == ["Hello."]
    assert [event.outcome for event in told.of(port.PreemptiveReply)] == ["adopted"] * preemptive
