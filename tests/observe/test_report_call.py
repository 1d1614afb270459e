"""What a report takes from a timeline: spans, verdicts, answers, and latencies by their definitions."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pytest

from fishjam_agents import events
from fishjam_agents.events import Event, Heard
from fishjam_agents.observe import Timeline
from fishjam_agents.observe.report import latency, tables
from fishjam_agents.observe.report.call import Call, Span, ToolRun
from fishjam_agents.observe.report.reading import read_call
from fishjam_agents.observe.report.unanswered import why_unanswered

A, B = ("alice", "track-a"), ("bob", "track-b")


def call_of(*happened: Event, seconds: float = 20.0) -> Call:
    timeline = Timeline()
    for event in happened:
        timeline(event)
    return read_call(timeline.document(seconds))


def turn(number: int, who: tuple[str, str], start: float, end: float, decided: float) -> list[Event]:
    return [
        events.UserStartedSpeaking(start + 0.04, start, *who),
        events.UserStoppedSpeaking(end + 0.2, end, *who),
        events.UserTurnEnded(decided, end, *who, start, f"turn-{number}"),
    ]


def reply(name: str, at: float, seconds: float) -> list[Event]:
    return [
        events.ReplyStarted(name, at=at),
        events.ReplyFirstAudio(at + 0.01, name),
        events.ReplyGenerated(at + 0.02, name, seconds),
    ]


def ended(name: str, at: float, seconds: float) -> Event:
    return events.ReplyEnded(at, name, Heard(name, seconds))


def test_latencies_are_what_their_definitions_say() -> None:
    call = call_of(
        *turn(1, A, 1.0, 3.0, 3.6),
        *reply("r1", 3.8, 5.0),
        events.BargeInSuspected(6.07, 6.0, *A, "r1"),
        events.BargeInConfirmed(6.34, 6.0, *A, "r1"),
        events.ReplyInterrupted(6.34, "r1", Heard("r1", 2.26)),
    )
    (asked,) = call.turns
    answer = call.reply(asked.reply)
    assert latency.response(asked, answer) == pytest.approx(0.81)
    assert latency.end_of_turn(asked) == pytest.approx(0.6)
    assert latency.model(asked, answer) == pytest.approx(0.21)
    (barge_in,) = call.barge_ins
    assert latency.silence(barge_in) == pytest.approx(0.07)
    assert latency.verdict(barge_in) == pytest.approx(0.34)
    assert latency.responses(call) == [pytest.approx(0.81)]
    assert latency.silences(call) == [pytest.approx(0.07)]


def test_an_interrupted_reply_is_on_air_until_the_suspicion_and_the_rest_is_unheard() -> None:
    call = call_of(
        *reply("r1", 3.99, 7.0),
        events.BargeInSuspected(6.0, 5.95, *A, "r1"),
        events.BargeInConfirmed(6.3, 5.95, *A, "r1"),
        events.ReplyInterrupted(6.3, "r1", Heard("r1", 2.0)),
    )
    assert call.replies[0].sounding == (Span(4.0, 6.0),)
    assert call.replies[0].unheard == pytest.approx(5.0)
    assert call.replies[0].interrupted


def test_a_withdrawn_barge_in_leaves_a_hole_in_the_reply_and_nothing_unheard() -> None:
    call = call_of(
        *reply("r1", 3.99, 4.0),
        events.BargeInSuspected(5.0, 4.95, *A, "r1"),
        events.BargeInWithdrawn(5.5, 5.2, *A, "r1"),
        ended("r1", 8.6, 4.0),
    )
    assert call.replies[0].sounding == (Span(4.0, 5.0), Span(5.5, 8.6))
    assert call.replies[0].unheard == 0.0
    assert call.barge_ins[0].verdict == "withdrawn"


def test_a_bot_that_does_not_pause_at_a_suspicion_has_no_hole() -> None:
    call = call_of(
        *reply("r1", 3.99, 4.0),
        events.BargeInSuspected(5.0, 4.95, *A, "r1"),
        events.BargeInWithdrawn(6.0, 5.2, *A, "r1"),
        ended("r1", 8.0, 4.0),
    )
    assert call.replies[0].sounding == (Span(4.0, 8.0),)


def test_a_turn_that_waited_for_another_is_answered_late_and_not_counted() -> None:
    call = call_of(
        *turn(1, B, 0.4, 4.0, 4.6),
        *turn(2, A, 0.4, 7.0, 7.6),
        *reply("r1", 7.8, 2.0),
        ended("r1", 9.81, 2.0),
        *reply("r2", 10.0, 2.0),
        ended("r2", 12.01, 2.0),
    )
    assert {t.id: (t.reply, t.waited) for t in call.turns} == {
        "turn-1": ("r2", True),
        "turn-2": ("r1", False),
    }
    assert latency.responses(call) == [pytest.approx(0.81)]


def test_a_reply_that_says_whom_it_answers_is_that_peers() -> None:
    call = call_of(
        *turn(1, A, 0.4, 4.0, 4.6),
        *turn(2, B, 1.0, 5.0, 5.6),
        events.ReplyStarted("r1", "alice", at=5.7),
        events.ReplyFirstAudio(5.71, "r1"),
        ended("r1", 7.0, 1.3),
        events.ReplyStarted("r2", "bob", at=5.9),
        events.ReplyFirstAudio(7.3, "r2"),
    )
    assert [turn.reply for turn in call.turns] == ["r1", "r2"]


def test_a_reply_answers_a_turn_that_was_over_before_one_of_which_that_was_not_known() -> None:
    call = call_of(
        *turn(1, A, 0.4, 4.0, 4.6),
        events.ReplyStarted("r1", at=4.8),
        *turn(2, B, 2.0, 4.5, 5.1),
        events.ReplyFirstAudio(5.2, "r1"),
        events.ReplyStarted("r2", at=5.3),
    )
    assert [turn.reply for turn in call.turns] == ["r1", "r2"]


def test_a_greeting_answers_no_turn_and_earlier_turns_of_a_peer_are_answered_with_the_last() -> None:
    call = call_of(
        *reply("hello", 0.1, 0.5),
        ended("hello", 0.61, 0.5),
        *turn(1, A, 1.0, 2.0, 2.6),
        *turn(2, A, 2.7, 4.0, 4.6),
        *reply("r1", 4.8, 1.0),
        ended("r1", 5.81, 1.0),
        *reply("r2", 6.0, 1.0),
        ended("r2", 7.01, 1.0),
    )
    assert [t.reply for t in call.turns] == [None, "r1"]


def test_a_model_faster_than_our_own_end_of_turn_has_a_negative_delay() -> None:
    call = call_of(*reply("r1", 3.3, 1.0), *turn(1, A, 1.0, 3.0, 3.6))
    (asked,) = call.turns
    assert latency.model(asked, call.reply(asked.reply)) == pytest.approx(-0.29)


def test_a_second_speaker_confirmed_over_a_silenced_bot_has_no_silence_latency() -> None:
    call = call_of(
        *reply("r1", 1.0, 9.0),
        events.BargeInSuspected(3.05, 3.0, *A, "r1"),
        events.BargeInConfirmed(3.5, 3.1, *B, "r1"),
    )
    assert [(b.peer, b.verdict, latency.silence(b)) for b in call.barge_ins] == [
        ("alice", "open", pytest.approx(0.05)),
        ("bob", "confirmed", None),
    ]


def test_the_last_of_several_suspects_withdraws_for_all() -> None:
    call = call_of(
        *reply("r1", 1.0, 9.0),
        events.BargeInSuspected(3.05, 3.0, *A, "r1"),
        events.BargeInWithdrawn(3.6, 3.3, *B, "r1"),
    )
    assert [(b.peer, b.verdict, b.settled) for b in call.barge_ins] == [("alice", "withdrawn", 3.6)]


def test_words_are_split_where_the_listener_stopped_hearing() -> None:
    call = call_of(
        events.ReplyStarted("r1", at=1.0),
        events.ReplyText(1.0, "r1", "one two "),
        events.ReplyText(1.1, "r1", "three four"),
        events.ReplyInterrupted(2.0, "r1", Heard("r1", 0.9, "one two")),
        *turn(1, A, 3.0, 4.0, 4.6),
        events.UserTranscript("stop", True, "alice", at=4.7),
        events.UserTranscript("not final", False, "alice", at=4.7),
    )
    assert (call.replies[0].heard_text, call.replies[0].unheard_text) == ("one two", " three four")
    assert call.turns[0].said == "stop"


def test_words_that_come_late_are_of_the_turn_that_they_name() -> None:
    call = call_of(
        *turn(1, A, 3.0, 4.0, 4.6),
        events.UserTranscript("one", False, "alice", 3.0, 3.4, at=3.6),
        *turn(2, A, 5.0, 6.0, 6.6),
        events.UserTranscript("one two", True, "alice", 3.0, 4.0, at=6.7),
        events.UserTranscript("three", True, "alice", 5.0, 6.0, at=6.8),
    )
    assert [turn.said for turn in call.turns] == ["one two", "three"]
    assert latency.transcripts(call) == pytest.approx([0.2, 2.7, 0.8])


def test_speech_that_never_stopped_lasts_to_the_end_of_the_call() -> None:
    call = call_of(events.UserStartedSpeaking(1.0, 0.9, *A), seconds=5.0)
    assert [speech.span for speech in call.speech] == [Span(0.9, 5.0)]


def test_a_call_in_which_nothing_happened_can_be_read() -> None:
    call = call_of()
    assert (call.turns, call.replies, call.barge_ins) == ((), (), ())
    assert latency.summary(latency.responses(call)) is None


@pytest.mark.parametrize(
    ("values", "median", "high", "name"),
    [
        ([0.3], 0.3, 0.3, "max"),
        ([0.4, 0.1, 0.2, 0.3], 0.25, 0.4, "max"),
        ([n / 100 for n in range(1, 21)], 0.105, 0.19, "p95"),
        ([n / 100 for n in range(100, 0, -1)], 0.505, 0.95, "p95"),
    ],
)
def test_a_summary_names_a_percentile_only_where_there_is_one(
    values: list[float], median: float, high: float, name: str
) -> None:
    found = latency.summary(values)
    assert found is not None
    assert (found.median, found.high, found.high_name) == (pytest.approx(median), pytest.approx(high), name)


def test_audible_time_is_measured_in_the_recording() -> None:
    call = call_of(
        *reply("r1", 1.0, 9.0),
        events.BargeInSuspected(3.05, 3.0, *A, "r1"),
        events.BargeInConfirmed(3.5, 3.0, *A, "r1"),
    )
    bot: Any = np.zeros(16000 * 5, np.int16)
    assert latency.audible_for(call.barge_ins[0], bot, 16000) is None
    bot[16000 : int(16000 * 3.07)] = -900
    bot[16000 * 4 :] = 900
    assert latency.audible_for(call.barge_ins[0], bot, 16000) == pytest.approx(0.07)


def test_tools_are_spans_with_arguments_and_result() -> None:
    call = call_of(
        events.ToolStarted(1.0, "weather", "c1", '{"city": "Rome"}'),
        events.ToolCalled(2.0, "weather", "c1", "ok", 1.0, "sunny"),
        events.ToolCalled(3.0, "shout", "c2", "refused", 0.25),
        events.ToolStarted(19.0, "search", "c3"),
    )
    assert call.tools == (
        ToolRun("weather", Span(1.0, 2.0), "ok", '{"city": "Rome"}', "sunny"),
        ToolRun("shout", Span(2.75, 3.0), "refused"),
        ToolRun("search", Span(19.0, 20.0), "running"),
    )


ASKED = turn(1, A, 1.0, 2.0, 2.5)


@pytest.mark.parametrize(
    ("happened", "seconds", "why"),
    [
        ([*ASKED, *reply("r1", 3.0, 1.0)], 20.0, None),
        (ASKED, 20.0, "the model said nothing in the 17.5 s that were left"),
        (ASKED, 4.0, "the call was over 1.5 s later"),
        ([*ASKED, *turn(2, A, 3.0, 4.0, 4.5)], 20.0, "the speaker went on 1.0 s later (turn-2)"),
        (
            [*ASKED, *turn(2, A, 3.0, 4.0, 4.5), *reply("r1", 5.0, 1.0)],
            20.0,
            "answered together with turn-2, which began 1.0 s later",
        ),
        (
            [*ASKED, events.BackendWarning("the answer was refused", unanswered="failed", at=2.8)],
            20.0,
            "the answer was refused",
        ),
        (
            [*ASKED, events.BackendFailure("bad key", "auth", False, at=3.0)],
            20.0,
            "the backend failed: bad key",
        ),
        ([events.MuteChanged(0.5, "output", True), *ASKED], 20.0, "the bot was muted"),
        ([*ASKED, events.Outage(9.0, "backend", 8.0)], 20.0, "the bot was without its backend for 8.0 s"),
        (
            [*ASKED, events.VendorUnavailable("openai", "openai is asked by nobody", at=2.6)],
            20.0,
            "openai is asked by nobody",
        ),
        (
            [events.UserTurnEnded(2.5, 2.0, *A, 1.0, "turn-1", "cancelled")],
            20.0,
            "taken back: not to be answered",
        ),
        ([events.UserTurnEnded(2.5, 2.0, *A, 1.0, "turn-1", "app")], 20.0, "the bot's ears were closed"),
    ],
)
def test_a_turn_without_an_answer_says_why(happened: list[Event], seconds: float, why: str | None) -> None:
    call = call_of(*happened, seconds=seconds)
    assert why_unanswered(call, call.turns[0]) == why
    if why is not None:
        assert html.escape(why, quote=True) in tables.turns(call)


def test_notices_are_told_in_words() -> None:
    call = call_of(
        events.Outage(1.0, "backend", 0.5),
        events.ErrorRaised(3.0, "it broke", "on_turn"),
        events.UserText(4.0, "hello", "ann"),
    )
    assert [notice.text for notice in call.notices] == [
        "backend was lost for 0.50 s",
        "it broke",
        "ann wrote: hello",
    ]


def test_what_the_app_switched_and_the_model_ended_is_noticed() -> None:
    events = [
        {"at": 1.0, "kind": "mute_changed", "direction": "input", "muted": True},
        {"at": 2.0, "kind": "backend_ended", "reason": "goodbye"},
    ]
    call = read_call({"duration": 3.0, "events": events})
    assert [notice.text for notice in call.notices] == [
        "input muted",
        "the model ended the conversation: goodbye",
    ]


def test_the_rule_that_ended_a_turn_is_told_with_its_probability() -> None:
    ended_by = events.UserTurnEnded(3.0, 2.6, *A, 1.0, "turn-1", "silence", "complete", 0.934)
    (turn,) = call_of(ended_by).turns
    assert (turn.rule, turn.probability) == ("complete", 0.934)
    assert "400" in tables.turns(call_of(ended_by))
    assert "complete, p 0.93" in tables.turns(call_of(ended_by))
