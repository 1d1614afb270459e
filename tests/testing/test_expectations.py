"""Timelines against what is expected of them."""

from __future__ import annotations

from typing import Any

import pytest

from fishjam_agents.testing.comparison import difference, distance
from fishjam_agents.testing.expectations import judge
from fishjam_agents.testing.scenario import Expectations, Expected

EVENTS: list[dict[str, Any]] = [
    {"at": 0.0, "kind": "peer_joined", "peer": "ann"},
    {"at": 3.0, "media_at": 2.4, "start": 0.4, "kind": "user_turn_ended", "peer": "ann", "reason": "silence"},
    {"at": 3.2, "kind": "reply_started", "reply": "r1"},
    {"at": 3.4, "kind": "reply_latency", "reply": "r1", "parts": {"llm": 0.25}},
    {"at": 5.5, "kind": "reply_interrupted", "reply": "r1", "heard": {"seconds": 2.3, "text_exact": True}},
    {"at": 7.0, "media_at": 6.5, "start": 5.1, "kind": "user_turn_ended", "peer": "bob", "reason": "left"},
]


def told(expect: Expectations) -> list[str]:
    """The verdicts besides the one on `absent`."""
    return [str(verdict) for verdict in judge(expect, EVENTS) if verdict.key != "expect.absent"]


@pytest.mark.parametrize(
    ("order", "told_of_it"),
    [
        (
            ("peer_joined", "user_turn_ended of bob"),
            "ok    in this order peer_joined, user_turn_ended of bob: at 0.00, 7.00 s",
        ),
        (
            ("user_turn_ended", "user_turn_ended", "reply_started"),
            "FAIL  in this order user_turn_ended, user_turn_ended, reply_started: "
            "no reply_started after user_turn_ended at 7.00 s",
        ),
        (("reply_ended",), "FAIL  in this order reply_ended: no reply_ended"),
    ],
)
def test_events_come_in_order_with_others_in_between(order: tuple[str, ...], told_of_it: str) -> None:
    assert told(Expectations(order=order)) == [told_of_it]


def test_what_must_not_come_is_told_with_its_time() -> None:
    (verdict,) = judge(Expectations(absent=("reply_interrupted", "user_turn_ended of ann")), EVENTS)
    assert str(verdict) == (
        "FAIL  no reply_interrupted, no user_turn_ended of ann, no error, no backend_failure: "
        "user_turn_ended at 3.00 s, reply_interrupted at 5.50 s"
    )
    assert verdict.at == 3.0


def test_failures_must_not_come_unless_they_are_expected() -> None:
    (verdict,) = judge(Expectations(), EVENTS)
    assert str(verdict) == "ok    no error, no backend_failure: none came"
    failed = [*EVENTS, {"at": 8.0, "kind": "error", "message": "boom", "where": "on_turn"}]
    (verdict,) = judge(Expectations(absent=("outage",)), failed)
    assert str(verdict) == "FAIL  no outage, no error, no backend_failure: error at 8.00 s (boom)"
    expected = Expectations(events=(Expected("error", where={"where": "on_turn"}),))
    assert [verdict.met for verdict in judge(expected, failed)] == [True, True]
    assert judge(Expectations(failures=True), failed) == []


@pytest.mark.parametrize(
    ("expected", "told_of_it"),
    [
        (
            Expected("reply_latency", most={"parts.llm": 0.2}),
            "FAIL  reply_latency with parts.llm at most 0.2: parts.llm was 0.25",
        ),
        (Expected("reply_started"), "ok    reply_started: at 3.20 s"),
        (Expected("reply_ended"), "FAIL  reply_ended: it never came"),
        (Expected("user_turn_ended 3"), "FAIL  user_turn_ended 3: only 2 came"),
        (Expected("user_turn_ended", count=2), "ok    2 x user_turn_ended: 2, at 3.00, 7.00 s"),
        (Expected("user_turn_ended of ann", count=2), "FAIL  2 x user_turn_ended of ann: 1, at 3.00 s"),
        (Expected("reply_ended", count=0), "ok    0 x reply_ended: 0"),
        (Expected("reply_started", within=3.2), "ok    reply_started within 3.2 s: at 3.20 s"),
        (
            Expected("reply_started", within=3),
            "FAIL  reply_started within 3 s: at 3.20 s, 0.200 s too late",
        ),
        (
            Expected("reply_started", after="user_turn_ended", not_before=0.5, within=1),
            "FAIL  reply_started within 1 s and not before 0.5 s after user_turn_ended: "
            "0.200 s after it, at 3.20 s, 0.300 s too early",
        ),
        (
            Expected("user_turn_ended", after="user_turn_ended.media_at", within=0.6),
            "ok    user_turn_ended within 0.6 s after user_turn_ended.media_at: 0.600 s after it, at 3.00 s",
        ),
        (
            Expected("reply_started", after="reply_ended", within=1),
            "FAIL  reply_started within 1 s after reply_ended: at 3.20 s, but reply_ended never came",
        ),
        (
            Expected("user_turn_ended.start 2", within=5.2, not_before=5),
            "ok    user_turn_ended.start 2 within 5.2 s and not before 5 s: at 5.10 s",
        ),
        (
            Expected("user_turn_ended of bob", where={"reason": "silence"}),
            "FAIL  user_turn_ended of bob with reason silence: reason was left",
        ),
        (
            Expected("reply_interrupted", where={"heard.text_exact": "true"}, most={"heard.seconds": 2}),
            "FAIL  reply_interrupted with heard.text_exact true and heard.seconds at most 2: "
            "heard.seconds was 2.3",
        ),
        (
            Expected("reply_interrupted", least={"heard.seconds": 2.3}),
            "ok    reply_interrupted with heard.seconds at least 2.3: heard.seconds was 2.3",
        ),
        (
            Expected("user_turn_ended", where={"turn": "turn-1"}),
            "FAIL  user_turn_ended with turn turn-1: turn was not given",
        ),
    ],
)
def test_an_event_is_judged_by_number_time_and_fields(expected: Expected, told_of_it: str) -> None:
    assert told(Expectations(events=(expected,))) == [told_of_it]


def test_a_verdict_knows_where_its_expectation_stands_and_when_its_event_came() -> None:
    expect = Expectations(events=(Expected("reply_started"), Expected("reply_ended")))
    assert [(verdict.key, verdict.at) for verdict in judge(expect, EVENTS)] == [
        ("expect.absent", None),
        ("expect.events[0]", 3.2),
        ("expect.events[1]", None),
    ]


@pytest.mark.parametrize(
    ("wrong", "told_of_it"),
    [
        ({"event": "replied"}, "event: replied is no kind of event"),
        ({"event": "reply_ended", "after": "reply_started"}, "after needs within or not_before"),
        ({"event": "reply_ended", "within": 1, "not_before": 2}, "within must not be less than not_before"),
        ({"event": "reply_ended", "within": -1}, "within must not be less than not_before, nor than 0"),
        ({"event": "reply_ended", "count": -1}, "count must not be negative"),
        (
            {"event": "reply_ended", "least": {"heard.second": 1}},
            "has no heard.second: did you mean heard.seconds?",
        ),
        ({"event": "user_turn_ended", "where": {"reson": "left"}}, "has no reson: did you mean reason?"),
    ],
)
def test_an_expectation_that_makes_no_sense_is_refused(wrong: dict[str, Any], told_of_it: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        Expected(**wrong)
    assert told_of_it in str(raised.value)


def shifted(seconds: float) -> list[dict[str, Any]]:
    last = EVENTS[-1]
    return [*EVENTS[:-1], {**last, "media_at": last["media_at"] + seconds}]


def test_calls_are_alike_when_their_events_came_at_the_same_times() -> None:
    assert difference(EVENTS, EVENTS) is None
    assert difference(EVENTS, shifted(0.06)) is None
    assert difference(EVENTS, shifted(-0.06)) is None
    assert distance(EVENTS, shifted(0.05)) == pytest.approx(0.05)
    assert difference([], []) is None
    assert distance([], []) == 0


def test_the_first_difference_of_two_calls_is_told() -> None:
    assert (
        difference(shifted(0.07), EVENTS) == "user_turn_ended.media_at was at 6.570 s, and at 6.500 s there"
    )
    assert difference(EVENTS, EVENTS[1:]) == (
        "event 1 is peer_joined of ann at 0.00 s, and user_turn_ended of ann at 3.00 s there"
    )
    assert difference(EVENTS, EVENTS[:-1]) == "user_turn_ended of bob at 7.00 s came only here"
    assert difference(EVENTS[:-1], EVENTS) == "user_turn_ended of bob at 7.00 s came only there"
