"""The timeline: one axis, plain names, a table that can be read."""

from __future__ import annotations

import json

from fishjam_agents import events
from fishjam_agents.errors import TRIED_AGAIN, BackendError
from fishjam_agents.events import Event, Heard
from fishjam_agents.observe import Timeline, render, to_json
from fishjam_agents.observe.latency import describe_latency

CALL: list[Event] = [
    events.PeerJoined(0.0004, "p1"),
    events.UserTurnEnded(3.0, 2.4444444, "p1", "t1", 1.0, "turn-1"),
    events.ReplyText(3.25, "r1", "hello\nyou"),
    events.UserStartedSpeaking(1.1234567, 1.0, "p1", "t1"),
    events.ReplyInterrupted(4.0, "r1", Heard("r1", 0.5, "hel")),
    events.Outage(5.0, "backend", 1.23456),
]


def timeline_of(call: list[Event]) -> Timeline:
    timeline = Timeline()
    for event in call:
        timeline(event)
    return timeline


def test_events_are_sorted_rounded_moved_to_the_zero_and_named() -> None:
    document = timeline_of(CALL).document(10.00049, offset=-1.0, names={"p1": "caller-1"})
    assert document == {
        "version": 1,
        "duration": 10.0,
        "events": [
            {"at": -1.0, "kind": "peer_joined", "peer": "caller-1"},
            {
                "at": 0.123,
                "media_at": 0.0,
                "kind": "user_started_speaking",
                "peer": "caller-1",
                "track": "t1",
            },
            {
                "at": 2.0,
                "media_at": 1.444,
                "kind": "user_turn_ended",
                "peer": "caller-1",
                "track": "t1",
                "start": 0.0,
                "turn": "turn-1",
                "reason": "silence",
            },
            {"at": 2.25, "kind": "reply_text", "reply": "r1", "text": "hello\nyou"},
            {
                "at": 3.0,
                "kind": "reply_interrupted",
                "reply": "r1",
                "heard": {"seconds": 0.5, "text": "hel", "text_exact": False},
            },
            {"at": 4.0, "kind": "outage", "what": "backend", "seconds": 1.235},
        ],
    }
    assert list(document["events"][1]) == ["at", "media_at", "kind", "peer", "track"]


def test_no_time_is_a_negative_zero() -> None:
    document = timeline_of([events.PeerJoined(1.0, "p")]).document(0, offset=-1.0001)
    assert json.dumps(document["events"][0]["at"]) == "0.0"


def test_the_text_of_the_file_is_the_document_with_an_event_a_line() -> None:
    document = timeline_of(CALL).document(10, offset=1.5, names={"p1": "Zoë"})
    text = to_json(document)
    assert json.loads(text) == document
    assert len(text.splitlines()) == len(CALL) + 2
    assert "Zoë" in text


def test_half_a_surrogate_pair_can_be_written_to_a_file() -> None:
    half = "Zoë \ud83d"
    text = to_json(timeline_of([events.ReplyText(1.0, "r", half)]).document(2.0))
    assert text.encode().count("Zoë".encode()) == 1
    assert json.loads(text)["events"][0]["text"] == half


def test_a_call_without_events_has_a_timeline_too() -> None:
    assert json.loads(to_json(Timeline().document(0))) == {"version": 1, "duration": 0.0, "events": []}


def test_the_table_has_a_line_for_each_event() -> None:
    table = render(timeline_of(CALL).document(10, names={"p1": "caller-1"}))
    assert table.splitlines() == [
        "  at  media_at  event                  peer",
        "0.00            peer_joined            caller-1",
        "1.12      1.00  user_started_speaking  caller-1",
        "3.00      2.44  user_turn_ended        caller-1  start 1.00, turn turn-1, reason silence",
        r"3.25            reply_text                       reply r1, text 'hello\nyou'",
        "4.00            reply_interrupted                reply r1, heard 0.50 s 'hel'",
        "5.00            outage                           what backend, seconds 1.24",
    ]


def test_every_kind_of_event_is_known_by_its_kind() -> None:
    timeline = timeline_of(CALL)
    assert timeline.kinds[:2] == ["peer_joined", "user_turn_ended"]
    assert set(timeline.kinds) <= events.KINDS


def test_what_parts_took_is_told_in_the_table_and_in_one_line() -> None:
    events = [
        {"at": float(at), "kind": "reply_latency", "reply": f"r{at}", "parts": {"stt": 0.2 * at, "llm": 0.3}}
        for at in (1, 2, 3)
    ]
    assert "stt 0.20, llm 0.30" in render({"events": events[:1]})
    assert (
        describe_latency(events[:1])
        == "From the turn's end to the first sound: 500 ms (stt 200, llm 300; 1 reply)"
    )
    assert describe_latency(events) == (
        "From the turn's end to the first sound: 700 ms (stt 400, llm 300; median of 3 replies)"
    )
    assert describe_latency([]) is None


def test_a_failure_has_no_more_in_a_timeline_than_its_message() -> None:
    failure = events.BackendFailure.of(BackendError("no route", subject="Ann:", action=TRIED_AGAIN), at=1.0)
    assert failure.as_dict() == {
        "at": 1.0,
        "message": "Ann: no route: it is tried again",
        "failure": "internal",
        "retryable": False,
        "kind": "backend_failure",
    }
