"""What strangers write moves no cursor, forges no line and fails no command."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents import events
from fishjam_agents.audio.wav import write_wav
from fishjam_agents.cli import main
from fishjam_agents.cli.output import say
from fishjam_agents.observe.log import EventLog, LineFormatter
from fishjam_agents.observe.timeline import Timeline, to_json
from fishjam_agents.printable import printable

from .report_kit import RATE, TIMELINE

EVIL = "\x1b[2J\x1b]0;pwned\x07\r\x08\x9b31m\u202egnp.exe\u2028\ud800\nERROR   forged"


@given(st.text())
def test_nothing_that_is_shown_is_obeyed(text: str) -> None:
    shown = printable(text)
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in shown)
    shown.encode()
    assert printable(shown) == shown


PEOPLE = (
    "\u00a1Hola!",
    "\u4f60\u597d\u3000\u4e16\u754c",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a\u00a0b",
    "stra\u00dfe, 5 \u20ac",
)


@pytest.mark.parametrize("text", PEOPLE)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_escapes_are_those_of_python() -> None:
    assert printable("\x1b[2J\n\ud800") == "\\x1b[2J\\n\\ud800"
    assert printable("a\tb\nc\r", lines=True) == "a\tb\nc\\r"


def logged(record: logging.LogRecord) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    handler.handle(record)
    return stream.getvalue()


def test_a_log_line_is_one_line_and_moves_no_cursor() -> None:
    record = logging.LogRecord("fishjam_agents.x", logging.INFO, "f", 1, "vendor: %s", (EVIL,), None)
    record.peer = EVIL
    text = logged(record)
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("ERROR")]


def test_a_traceback_keeps_its_lines_and_moves_no_cursor() -> None:
    try:
        raise ValueError(EVIL.encode("utf-8", "replace").decode())
    except ValueError as error:
        info: Any = (type(error), error, error.__traceback__)
    record = logging.LogRecord("fishjam_agents.x", logging.ERROR, "f", 1, "failed", (), info)
    text = logged(record)
    assert "\nTraceback (most recent call last):\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "event",
    [
        events.ToolCalled(0.0, tool=EVIL, call=EVIL, outcome="ok", duration=0.1),
        events.BackendWarning(EVIL, at=0.0),
        events.ErrorRaised(0.0, "tool", EVIL),
        events.PeerJoined(0.0, EVIL),
        events.BackendEnded(0.0, EVIL),
    ],
)
def test_what_an_event_says_is_safe_in_any_programs_log(
    event: events.Event, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "fishjam_agents.call")
    EventLog("call", "room")(event)
    (record,) = caplog.records
    assert printable(record.getMessage()) == record.getMessage()


def test_what_is_printed_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"peer {EVIL}\nnext")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.endswith("\nnext\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_timeline_is_json_whatever_a_service_counts(number: float) -> None:
    timeline = Timeline()
    timeline(events.BackendUsage({"tokens": number, "turns": 1.0}, number, number, at=1.0))
    text = to_json(timeline.document(2.0))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (event,) = json.loads(text, parse_constant=refuse)["events"]
    assert event["amounts"] == {"tokens": None, "turns": 1.0}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "null"])
@pytest.mark.parametrize("key", ["duration", "lag", "at", "media_at", "start", "seconds", "heard", "new"])
@pytest.mark.parametrize("png", [False, True])
def test_a_report_of_numbers_that_are_none_is_written_or_refused_in_a_sentence(
    tmp_path: Path, number: str, key: str, png: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(json.dumps(TIMELINE))
    document["events"].append({"at": 5.0, "kind": "backend_usage", "amounts": {"tokens": 1.0}})
    if key in ("duration", "lag"):
        document[key] = "@"
    for event in document["events"]:
        if key in event and key not in ("heard",):
            event[key] = "@"
        elif key in event:
            event[key]["seconds"] = "@"
        elif key == "new" and "amounts" in event:
            event["amounts"]["tokens"] = "@"
    (tmp_path / "timeline.json").write_text(json.dumps(document).replace('"@"', number))
    write_wav(tmp_path / "room.wav", np.zeros((8 * RATE, 2), np.int16), RATE)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path), *(["--png"] if png else [])])
    told = capsys.readouterr().err
    assert ended.value.code == 0 or (ended.value.code == 2 and "simulate the call again" in told), told
    if number != "null" or key in ("lag", "seconds", "heard", "new"):
        assert ended.value.code == 0, told
