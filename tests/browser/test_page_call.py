"""The page's reading of a call (`call.js`), against the report's of the same events."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from fishjam_agents.observe.report import latency
from fishjam_agents.observe.report.call import SOMEBODY, Call
from fishjam_agents.observe.report.reading import read_call

from ..observe.report_kit import TIMELINE
from .page_kit import modules, run

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXTURES = EXAMPLES.parent / "audio_fixtures"
SCENARIOS = (
    *("cough", "interruption", "early-interruption", "two-turns", "two-callers", "per-peer"),
    *("mix", "push-to-talk", "mute", "leave", "backchannel", "cough-fit"),
)
READ = """
    const { NO_CALL } = await import("/playground/call_model.js");
    const { sounding, words, unheard } = await import("/playground/call_replies.js");
    const { responseTo } = await import("/playground/latency.js");
    const call = a.events.reduce(m.reduce, NO_CALL);
    const turns = call.turns.map((turn) => {
      const { response = null, waited = null } = responseTo(call, turn) ?? {};
      return { ...turn, response, waited };
    });
    const replies = call.replies.map((reply) => ({
      ...reply, sounding: sounding(call, reply, a.duration), unheard: unheard(reply), words: words(reply)
    }));
    return { ...call, turns, replies, open: [...call.open.keys()] };
"""


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    with modules(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def timelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, chosen = tmp_path_factory.mktemp("calls"), tmp_path_factory.mktemp("scenarios")
    for name in SCENARIOS:
        content = (EXAMPLES / "scenarios" / f"{name}.yaml").read_text()
        (chosen / f"{name}.yaml").write_text(content.replace("../../audio_fixtures", FIXTURES.as_posix()))
    command = [sys.executable, "-m", "fishjam_agents", "simulate", str(EXAMPLES / "parrot" / "config.yaml")]
    subprocess.run([*command, str(chosen), "--fast", "--out", str(out)], check=True, capture_output=True)
    found = {name: json.loads((out / name / "timeline.json").read_text()) for name in SCENARIOS}
    return {**found, "written by hand": TIMELINE}


def told(call: Call) -> dict[str, Any]:
    """What the report tells of a call, in the names of the page."""
    return {
        "speech": sorted([s.peer, s.span.start, s.span.end] for s in call.speech),
        "turns": sorted(
            [t.id, t.peer, t.span.start, t.span.end, t.decided, t.reason, t.said, t.reply]
            + (
                [latency.response(t, call.reply(t.reply)), t.waited]
                if answered(call, t.reply)
                else [None, None]
            )
            for t in call.turns
        ),
        "bargeIns": sorted(
            [b.peer, b.onset, b.suspected or -1, b.verdict, b.settled or -1] for b in call.barge_ins
        ),
        "replies": [
            [r.id, r.started, r.first_audio, r.ended, r.seconds, r.heard, r.interrupted, r.unheard]
            + [[piece.start, piece.end] for piece in r.sounding]
            for r in call.replies
        ],
    }


def answered(call: Call, reply: str | None) -> bool:
    found = call.reply(reply)
    return found is not None and found.first_audio is not None


def seen(call: dict[str, Any], duration: float) -> dict[str, Any]:
    """The same of what the page reads."""

    def named(peer: str) -> str:
        return peer or SOMEBODY

    turn = ("start", "end", "decided", "reason", "said", "reply", "response", "waited")
    reply = ("id", "started", "firstAudio", "ended", "seconds", "heard", "interrupted", "unheard")
    return {
        "speech": sorted(
            [named(s["peer"]), s["start"], max(s["end"] or duration, s["start"])] for s in call["speech"]
        ),
        "turns": sorted([t["id"], named(t["peer"]), *(t[key] for key in turn)] for t in call["turns"]),
        "bargeIns": sorted(
            [named(b["peer"]), b["onset"], b["suspected"] or -1, b["verdict"], b["settled"] or -1]
            for b in call["bargeIns"]
        ),
        "replies": [
            [*(r[key] for key in reply), *([piece["start"], piece["end"]] for piece in r["sounding"])]
            for r in call["replies"]
        ],
    }


@pytest.mark.parametrize("name", [*SCENARIOS, "written by hand"])
def test_the_page_tells_a_call_as_its_report_does(page: Page, timelines: dict[str, Any], name: str) -> None:
    timeline = timelines[name]
    expected = told(read_call(timeline))
    assert expected["turns"], "a call without a turn shows nothing"
    assert seen(run(page, "call.js", READ, timeline), timeline["duration"]) == expected


def states(page: Page, events: list[dict[str, Any]], times: list[float]) -> list[str]:
    body = """
        const { NO_CALL } = await import("/playground/call_model.js");
        const { botState } = await import("/playground/bot_state.js");
        return a.times.map((time) => {
          const call = a.events.filter((event) => event.at <= time).reduce(m.reduce, NO_CALL);
          return botState(call, time).name;
        });
    """
    found: list[str] = run(page, "call.js", body, {"events": events, "times": times})
    return found


def test_the_bots_state_follows_the_events(page: Page, timelines: dict[str, Any]) -> None:
    events = timelines["written by hand"]["events"]
    at = {event["kind"]: event["at"] for event in reversed(events)}
    moments = [0.1, 1.0, at["user_turn_ended"], at["reply_first_audio"] + 0.1, at["barge_in_suspected"]]
    assert states(page, events, moments) == ["listening", "hearing", "thinking", "speaking", "paused"]
    over = [*events, {"kind": "call_ended", "at": 9.0, "reason": "bot"}]
    assert states(page, over, [9.0]) == ["over"]


def test_a_cough_lets_the_bot_go_on(page: Page, timelines: dict[str, Any]) -> None:
    events = timelines["cough"]["events"]
    (suspected,) = (event["at"] for event in events if event["kind"] == "barge_in_suspected")
    (withdrawn,) = (event["at"] for event in events if event["kind"] == "barge_in_withdrawn")
    assert states(page, events, [suspected - 0.01, suspected, withdrawn]) == [
        "speaking",
        "paused",
        "speaking",
    ]


def test_a_sound_that_opened_no_turn_is_forgotten(page: Page) -> None:
    sound = {"peer": "a", "track": "t"}
    events = [
        {"kind": "user_started_speaking", "at": 2.0, "media_at": 1.9, **sound},
        {"kind": "user_stopped_speaking", "at": 2.4, "media_at": 2.1, **sound},
    ]
    assert states(page, events, [2.0, 3.0, 8.0]) == ["hearing", "hearing", "listening"]


def test_nobody_is_promised_an_answer_for_ever(page: Page) -> None:
    turn = {"kind": "user_turn_ended", "at": 2.0, "media_at": 1.5, "start": 0.5, "peer": "a", "track": "t"}
    turn |= {"turn": "turn-1", "reason": "silence"}
    assert states(page, [turn], [2.0, 30.0, 40.0]) == ["thinking", "thinking", "listening"]
    assert states(page, [{**turn, "reason": "cancelled"}], [2.0]) == ["listening"]
    unanswered = {"kind": "backend_warning", "at": 3.0, "message": "lost", "unanswered": "network"}
    assert states(page, [turn, unanswered], [2.9, 3.0]) == ["thinking", "listening"]
    tool = {"kind": "tool_started", "at": 2.1, "tool": "weather", "call": "c1"}
    over = {
        "kind": "tool_called",
        "at": 38.0,
        "tool": "weather",
        "call": "c1",
        "outcome": "ok",
        "duration": 35.9,
    }
    assert states(page, [turn, tool, over], [35.0, 38.0]) == ["thinking", "listening"]


def test_events_that_are_none_change_nothing(page: Page) -> None:
    body = """
        const { NO_CALL } = await import("/playground/call_model.js");
        return a.every((event) => m.reduce(NO_CALL, event) === NO_CALL);
    """
    strange = [None, 1, "x", [], {}, {"kind": "reply_started"}, {"kind": "reply_started", "at": None}]
    assert run(page, "call.js", body, [*strange, {"kind": "toString", "at": 1.0}, {"kind": "new", "at": 1}])


def test_strange_names_and_values_are_only_text(page: Page) -> None:
    events = [
        {
            "kind": "user_started_speaking",
            "at": 1,
            "media_at": None,
            "peer": "__proto__",
            "track": "__proto__",
        },
        {"kind": "user_transcript", "at": 1.5, "text": "hi", "final": True, "peer": "__proto__"},
        {
            "kind": "user_turn_ended",
            "at": 2,
            "peer": "__proto__",
            "track": "__proto__",
            "start": "x",
            "turn": {},
        },
        {"kind": "reply_started", "at": 3, "reply": "constructor"},
        {"kind": "reply_text", "at": 3, "reply": "constructor", "text": 7},
        {"kind": "reply_ended", "at": 4, "reply": "constructor"},
        {"kind": "reply_latency", "at": 4, "reply": "constructor", "parts": [1, None]},
    ]
    call = run(page, "call.js", READ, {"events": events, "duration": 5})
    assert [turn["said"] for turn in call["turns"]] == ["hi"]
    assert call["turns"][0]["reply"] == "constructor"
    assert call["replies"][0]["text"] == "7"
    assert call["replies"][0]["heard"] == 0


def test_words_go_to_the_turn_they_are_of(page: Page) -> None:
    spoken = {"peer": "a", "track": "t"}
    events = [
        {"kind": "user_started_speaking", "at": 1, "media_at": 0.9, **spoken},
        {"kind": "user_transcript", "at": 1.5, "text": "what is", "final": False, "peer": "a"},
        {"kind": "user_transcript", "at": 1.8, "text": "what is the time", "final": True, "peer": "a"},
        {"kind": "user_turn_ended", "at": 2.5, "media_at": 2, "start": 0.9, "turn": "1", "reason": "silence"}
        | spoken,
        {"kind": "user_transcript", "at": 2.6, "text": "please", "final": True, "peer": "a"},
        {"kind": "user_started_speaking", "at": 4, "media_at": 3.9, **spoken},
        {"kind": "user_transcript", "at": 4.2, "text": "thanks", "final": True, "peer": "a"},
        {"kind": "user_turn_ended", "at": 5.5, "media_at": 5, "start": 3.9, "turn": "2", "reason": "silence"}
        | spoken,
    ]
    call = run(page, "call.js", READ, {"events": events, "duration": 6})
    assert [turn["said"] for turn in call["turns"]] == ["what is the time please", "thanks"]


def test_what_is_written_is_no_word_of_a_turn(page: Page) -> None:
    spoken = {"peer": "a", "track": "t"}
    events = [
        {"kind": "user_started_speaking", "at": 1, "media_at": 0.9, **spoken},
        {"kind": "user_text", "at": 1.5, "text": "in writing", "peer": "a"},
        {"kind": "user_turn_ended", "at": 2.5, "media_at": 2, "start": 0.9, "turn": "1", "reason": "silence"}
        | spoken,
    ]
    call = run(page, "call.js", READ, {"events": events, "duration": 6})
    assert [turn["said"] for turn in call["turns"]] == [""]
    assert call["lines"] == [{"at": 1.5, "peer": "a", "text": "in writing"}]


def test_an_hour_of_talk_keeps_a_bounded_call(page: Page) -> None:
    body = """
        const { NO_CALL, KEPT } = await import("/playground/call_model.js");
        let call = NO_CALL;
        for (let at = 0; at < 3600; at += 2) {
          const names = { at, turn: `t${at}`, reply: `r${at}`, call: `c${at}` };
          for (const event of a) call = m.reduce(call, { ...event, ...names });
        }
        const lists = ["people", "speech", "turns", "lines", "bargeIns", "replies", "tools", "notices"];
        return [KEPT, ...lists.map((list) => call[list].length), call.counts.turns];
    """
    kinds = [
        "user_started_speaking",
        "user_stopped_speaking",
        "user_turn_ended",
        "reply_started",
        "reply_ended",
    ]
    kinds += [
        "barge_in_suspected",
        "barge_in_withdrawn",
        "tool_called",
        "outage",
        "peer_joined",
        "reply_text",
    ]
    events = [{"kind": kind, "peer": "a", "track": "t", "text": "word"} for kind in kinds]
    kept, *lengths, turns = run(page, "call.js", body, events)
    assert turns == 1800
    assert max(lengths) == kept


def test_levels_are_kept_for_the_last_minutes(page: Page) -> None:
    body = """
        const history = new m.LevelHistory();
        for (let at = 0; at < 3600; at += 0.02) history.put(at + 0.01, at % 10 < 5 ? 0.5 : 0.1);
        const gap = 4000;
        history.put(gap, 1);
        const talk = [history.peak(3591, 3594), history.peak(3596, 3599)];
        const rest = [history.peak(3601, 3999), history.peak(gap, gap), history.peak(1, 4)];
        return [...talk, ...rest, history.values.length];
    """
    loud, quiet, gap, last, forgotten, size = run(page, "level_history.js", body)
    assert loud == pytest.approx(0.5, abs=0.01)
    assert quiet == pytest.approx(0.1, abs=0.01)
    assert (gap, last, forgotten, size) == (0, 1, 0, 30_000)


def test_the_time_of_the_call_is_that_of_the_most_punctual_message(page: Page) -> None:
    body = """
        const clock = new m.CallClock();
        const before = clock.now(5000);
        clock.set(0, 1000);
        const waiting = clock.now(5000);
        clock.set(2.0, 5010); clock.set(3.0, 6300); clock.set(4.0, 7005); clock.set(null, 8000);
        const running = clock.now(8005);
        clock.stop();
        return [before, waiting, running, clock.now(9000) === clock.now(1e9)];
    """
    before, waiting, running, stands = run(page, "call_clock.js", body)
    assert (before, waiting, stands) == (0, 0, True)
    assert running == pytest.approx(5.0, abs=0.001)
