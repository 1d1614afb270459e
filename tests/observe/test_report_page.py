"""The report: one file without a network, whose figures are right and in which text stays text."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.report import write_report
from fishjam_agents.observe.report.histogram import bins
from fishjam_agents.observe.report.page import render

from .report_kit import RATE, TIMELINE, Element, parsed, recording

HOSTILE = (
    "</script><script>window.broken=1</script>",
    '"><img src=x onerror="window.broken=1">',
    "' onmouseover='window.broken=1",
    "</title></style><b>bold</b>",
    "$script ${name} $$",
    "&lt;b&gt; <!-- ]]> -->",
    "\u202eright to left\u2066",
    "\x00\x1b[31m\ud800",
)


def page_of(timeline: dict[str, Any] = TIMELINE, seconds: float = 8.0, name: str = "a call") -> Element:
    return parsed(render(room=recording(seconds), sample_rate=RATE, timeline=timeline, name=name))


def rows(page: Element, section: str) -> list[list[str]]:
    body = page.one("section", id=section).one("tbody")
    return [[c.text for c in row.children if isinstance(c, Element)] for row in body.all("tr")]


def test_the_page_is_one_file_that_loads_nothing() -> None:
    page = page_of()
    assert [page.all(name) for name in ("link", "img", "iframe", "object", "embed")][1:] == [[]] * 4
    for element in page.all():
        for key in ("src", "href"):
            address = element.attributes.get(key)
            assert address is None or re.match(r"data:|#", address), address
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


def test_only_the_script_of_the_page_may_run() -> None:
    page = page_of()
    digest = base64.b64encode(hashlib.sha256(page.one("script").text.encode()).digest()).decode()
    (policy,) = (m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes)
    assert policy is not None
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert not [key for element in page.all() for key in element.attributes if key.startswith("on")]


def test_everything_can_be_reached_and_has_a_name() -> None:
    page = page_of()
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.all():
        for target in (element.attributes.get("aria-labelledby") or "").split():
            assert target in ids
    for element in [e for name in ("button", "summary", "th", "a") for e in page.all(name)]:
        assert element.text.strip() or element.attributes.get("aria-label")
    for svg in page.all("svg"):
        assert svg.attributes.get("aria-hidden") or svg.all("title")
    slider = page.one(role="slider")
    assert {"tabindex", "aria-label", "aria-valuemin", "aria-valuemax", "aria-valuenow"} <= {
        *slider.attributes
    }
    assert page.one("html").attributes["lang"] == "en"
    assert [element.text for element in page.all("h1")] == ["a call"]
    assert all(name in page.one("style").text for name in ("prefers-color-scheme: dark", "@media print"))


def test_the_figures_are_those_of_the_timeline() -> None:
    page = page_of()
    tiles = [[part.text for part in tile.all("dd")] for tile in page.all("div", class_="tile")]
    assert tiles == [
        ["786ms", "one in this call"],
        ["60ms", "one in this call"],
        ["1", "1 confirmed, 0 withdrawn"],
        ["32%", "1.3 of 4.0 s generated"],
    ]
    (turn,) = rows(page, "turns")
    assert turn == [
        "turn-1",
        "caller-1",
        "0.40 \u2013 2.00tell me",
        "580 ms",
        "206 ms",
        "786 ms",
        "r1once upon a time",
        "1.27 of 4.00 s",
        "interrupted",
    ]
    assert page.one("section", id="turns").one("s").text == " a time"
    assert rows(page, "barge-ins") == [["4.00", "caller-1", "r1", "60 ms", "70 ms", "confirmed", "340 ms"]]
    assert len(rows(page, "events")) == len(TIMELINE["events"])


def test_what_a_scenario_expected_is_told_with_what_was_not_met_first() -> None:
    judged = [
        {"expected": "no error", "came": "none came", "met": True},
        {"expected": "reply_ended", "came": "it never came", "met": False},
        {"expected": "reply_started", "came": "at 2.78 s", "met": True, "at": 2.78},
    ]
    page = page_of({**TIMELINE, "expectations": judged})
    assert rows(page, "expectations") == [
        ["\u2013", "reply_ended", "it never came", "not met"],
        ["\u2013", "no error", "none came", "met"],
        ["2.78", "reply_started", "at 2.78 s", "met"],
    ]
    assert not [
        section for section in page_of().all("section") if section.attributes.get("id") == "expectations"
    ]


def test_what_is_drawn_stands_where_it_happened() -> None:
    plot = page_of().one("div", id="plot")

    def place(name: str) -> tuple[float, float]:
        style = plot.one(class_=name).attributes["style"] or ""
        left, width = (float(figure) for figure in re.findall(r"([\d.]+)%", style))
        return round(left * 0.08, 3), round(width * 0.08, 3)

    assert place("turn") == (0.4, 1.6)
    assert place("response") == (2.0, 0.786)
    assert place("heard") == (2.786, 1.274)
    assert place("unheard") == (4.06, 2.73)
    assert place("band") == (4.0, 0.34)
    assert plot.one(class_="barge-in").text == "suspected 60 ms, confirmed 340 ms"


def said_everywhere(folder: Path, text: str) -> Element:
    """The report of a call in which every text that others have a hand in is this one."""
    timeline = copy.deepcopy(TIMELINE)
    for event in timeline["events"]:
        for key in ("peer", "text", "reply", "turn", "track", "reason"):
            if key in event:
                event[key] = text
        if "heard" in event:
            event["heard"]["text"] = text[:2]
    timeline["events"] += [
        {"at": 5.0, "kind": "error", "message": text, "where": text},
        {"at": 5.0, "kind": "tool_called", "tool": text, "call": text},
        {"at": 5.0, "kind": "outage", "what": text, "seconds": 1.0},
        {"at": 5.0, "kind": "backend_failure", "message": text, "failure": text, "retryable": True},
    ]
    path = write_report(folder, room=recording(8), sample_rate=RATE, timeline=timeline)
    return parsed(path.read_text(encoding="utf-8"))


def skeleton(page: Element) -> list[tuple[str, list[str]]]:
    return [(element.name, sorted(element.attributes)) for element in page.all()]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_peers_and_models_say_stays_text(tmp_path: Path, text: str) -> None:
    page = said_everywhere(tmp_path, text)
    shown = re.sub("[\x00\x1b\ud800]", "\ufffd", text)
    for name in ("turns", "events", "plot"):
        assert shown in page.one(id=name).text
    harmless = said_everywhere(tmp_path, "harmless text")
    assert skeleton(page) == skeleton(harmless)
    assert page.one("script").text == harmless.one("script").text


def test_a_hostile_folder_name_is_text_too() -> None:
    page = page_of(name="<i>x</i>$seconds")
    assert page.one("h1").text == "<i>x</i>$seconds"
    assert page.one("head").one("title").text == "<i>x</i>$seconds · call report"


def test_a_short_call_is_within_a_megabyte_and_holds_its_sound() -> None:
    content = render(room=recording(20.0), sample_rate=RATE, timeline=TIMELINE, name="x")
    assert len(content.encode()) < 1_050_000
    page = parsed(content)
    assert (page.one("audio").attributes["src"] or "").startswith("data:audio/wav;base64,")
    assert "inside this page" in page.one("p", id="source").text


def test_the_longest_call_is_within_a_megabyte_and_says_where_its_sound_is(tmp_path: Path) -> None:
    room: Any = np.random.default_rng(2).integers(-9000, 9000, (600 * RATE, 2), np.int16)
    path = write_report(tmp_path, room=room, sample_rate=RATE, timeline={**TIMELINE, "duration": 600.0})
    assert path == tmp_path / "report.html"
    assert path.stat().st_size < 1_050_000
    page = parsed(path.read_text(encoding="utf-8"))
    assert page.one("audio").attributes["src"] == "room.wav"
    assert "needs room.wav in the same folder" in page.one("p", id="source").text


def test_a_call_in_which_nothing_happened_has_a_report() -> None:
    page = parsed(
        render(
            room=np.zeros((0, 2), np.int16),
            sample_rate=RATE,
            timeline={"version": 1, "duration": 0.0, "events": []},
            name="nothing",
        )
    )
    assert not page.all("section", id="turns")
    assert not page.all("figure")
    assert "none in this call" in page.one("dl", class_="tiles").text


def test_a_machine_that_was_late_is_told_of() -> None:
    assert not page_of().all(class_="warning")
    warning = page_of({**TIMELINE, "lag": 0.031}).one(class_="warning")
    assert warning.text == "The machine was up to 31 ms late during this call: times are not exact."


def test_a_report_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FishjamAgentsError, match=r"cannot write .*report\.html \(.*\): check the folder"):
        write_report(tmp_path / "none", room=recording(8), sample_rate=RATE, timeline=TIMELINE)


@pytest.mark.parametrize(
    ("values", "least", "expected"),
    [
        ((0.05,), 0.2, (0.0, 0.01, 21)),
        ((0.7, 0.72, 1.1), 1.5, (0.0, 0.1, 16)),
        ((-0.15, 0.4), 1.0, (-0.15, 0.05, 24)),
        ((0.2, 400.0), 1.5, (0.0, 400 / 24, 25)),
    ],
)
def test_a_histogram_has_round_bins_and_counts_every_value(
    values: tuple[float, ...], least: float, expected: tuple[float, float, int]
) -> None:
    start, width, counts = bins(values, least)
    assert (start, width, len(counts)) == (
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
        expected[2],
    )
    assert sum(counts) == len(values)


def test_the_heading_is_the_title_of_the_timeline(tmp_path: Path) -> None:
    timeline = {**TIMELINE, "title": "<cough>", "about": "A cough is no turn.", "stopped": True}
    text = write_report(tmp_path, room=recording(8), sample_rate=RATE, timeline=timeline).read_text()
    assert "<h1><bdi>&lt;cough&gt;</bdi></h1>" in text
    assert '<p class="about">A cough is no turn.</p>' in text
    assert "The call was stopped at 8.00 s, before its end." in text


def test_who_said_nothing_has_a_lane_too() -> None:
    silent = {"at": 0.0, "kind": "peer_joined", "peer": "caller-2"}
    page = page_of({**TIMELINE, "events": [silent, *TIMELINE["events"]]})
    labels = [label.text for label in page.all("div", class_="label") if label.has("class_", "speech")]
    assert labels == ["caller-1", "caller-2"]
    assert "2 callers" in page.one("header").text


def test_tools_are_spans_in_a_lane_of_their_own_and_a_table() -> None:
    tools = [
        {"at": 3.0, "kind": "tool_started", "tool": "weather", "call": "c1", "arguments": '{"city":"Rome"}'},
        {"at": 3.1, "kind": "tool_started", "tool": "search", "call": "c2"},
        {"at": 4.0, "kind": "tool_called", "tool": "weather", "call": "c1", "duration": 1.0, "result": "sun"},
        {"at": 4.2, "kind": "tool_called", "tool": "search", "call": "c2", "outcome": "error"},
    ]
    page = page_of({**TIMELINE, "events": [*TIMELINE["events"], *tools]})
    first, second = page.all("div", class_="tool")
    assert (
        first.attributes["title"]
        == 'weather: ok, 1000 ms from 3.00 s\narguments: {"city":"Rome"}\nresult: sun'
    )
    assert "left:37.5000%;width:12.5000%" in (first.attributes["style"] or "")
    # They ran at once: one stands below the other.
    assert "row-1" in (second.attributes["class"] or "")


def test_what_nobody_in_particular_says_has_a_lane_of_its_own() -> None:
    """In a mix the peer of a turn is left out where nobody was clearly loudest."""
    timeline = copy.deepcopy(TIMELINE)
    turn = next(event for event in timeline["events"] if event["kind"] == "user_turn_ended")
    del turn["peer"]
    page = page_of(timeline)
    labels = [label.text for label in page.all("div", class_="label") if label.has("class_", "speech")]
    # The ruler is the first lane.
    lane = page.all("div", class_="lane")[1 + labels.index("somebody")]
    assert turn["turn"] in lane.text


def test_what_each_part_of_a_backend_took_is_a_table_with_its_medians() -> None:
    timeline = copy.deepcopy(TIMELINE)
    assert not page_of(timeline).has("id", "parts")
    took = [{"stt": 0.2, "llm": 0.5, "tts": 0.1}, {"stt": 0.4, "llm": 0.3, "tts": 0.1, "ahead": -0.2}]
    timeline["events"] += [
        {"at": 4.0 + number, "kind": "reply_latency", "reply": f"r{number}", "parts": parts}
        for number, parts in enumerate(took)
    ]
    page = page_of(timeline)
    heads = [head.text for head in page.one("section", id="parts").one("thead").all("th")]
    assert heads == ["Reply", "stt", "llm", "tts", "ahead", "All"]
    assert rows(page, "parts") == [
        ["r0", "200 ms", "500 ms", "100 ms", "\N{EN DASH}", "800 ms"],
        ["r1", "400 ms", "300 ms", "100 ms", "-200 ms", "600 ms"],
        ["median", "300 ms", "400 ms", "100 ms", "-100 ms", "700 ms"],
    ]
