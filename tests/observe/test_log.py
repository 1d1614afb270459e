"""The log: plain words, ids, and no talk above debug."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents import events
from fishjam_agents.errors import TRIED_AGAIN, BackendError, ConfigError
from fishjam_agents.events import Event, Heard
from fishjam_agents.observe import EventLog, LogSettings, setup_logging
from fishjam_agents.observe.json_log import WORDS, JsonFormatter
from fishjam_agents.observe.log import TALKATIVE, LineFormatter, log_room, wants_colour

HEARD = Heard("r1", 1.25, "the secret plan")

LINES: list[tuple[Event, str, str]] = [
    (events.PeerJoined(1, "ann"), "INFO", "ann is in the room"),
    (events.PeerLeft(1, "ann"), "INFO", "ann left the room"),
    (events.UserStartedSpeaking(1, 1, "ann", "t"), "DEBUG", "ann speaks"),
    (events.UserStoppedSpeaking(1, 1, "ann", "t"), "DEBUG", "ann pauses"),
    (events.UserTurnEnded(4, 3.5, "ann", "t", 1, "turn-1"), "INFO", "ann finished a turn of 2.5 s"),
    (
        events.UserTurnEnded(4, 3.5, "ann", "t", 1, "turn-1", "missing"),
        "INFO",
        "ann finished a turn of 2.5 s (ended by: missing)",
    ),
    (
        events.UserTurnEnded(4, 3.5, "ann", "t", 1, "turn-1", "silence", "complete", 0.934),
        "INFO",
        "ann finished a turn of 2.5 s (complete, probability 0.93)",
    ),
    (
        events.EndOfTurnPredicted(4, 3.5, "ann", "t", 0.934, 0.03),
        "DEBUG",
        "ann's turn sounds complete with a probability of 0.93",
    ),
    (events.BargeInSuspected(1, 1, "ann", "t"), "INFO", "ann may be speaking over the bot: it pauses"),
    (events.BargeInConfirmed(1, 1, "ann", "t"), "INFO", "ann speaks over the bot: its reply is over"),
    (events.BargeInWithdrawn(1, 1, "ann", "t"), "INFO", "ann did not speak over the bot: it goes on"),
    (events.ReplyStarted("r1", at=1), "INFO", "the bot replies (r1)"),
    (events.ReplyFirstAudio(1, "r1"), "DEBUG", "first audio of r1 is on the wire"),
    (events.ReplyGenerated(1, "r1", 7.24), "DEBUG", "r1 is complete: 7.2 s"),
    (events.ReplyInterrupted(1, "r1", HEARD), "INFO", "r1 was interrupted, 1.2 s of it heard"),
    (events.ReplyEnded(1, "r1", HEARD), "INFO", "r1 was played, 1.2 s of it heard"),
    (events.ReplyLatency("r1", {"stt": 0.2, "llm": 0.31}, at=1), "DEBUG", "r1 took stt 0.20 s, llm 0.31 s"),
    (
        events.PreemptiveReply("ann", "adopted", 0.41, at=1),
        "DEBUG",
        "the answer to ann was begun 0.41 s before the turn was over",
    ),
    (
        events.PreemptiveReply(None, "went_on", 0.3, at=1),
        "DEBUG",
        "0.30 s of an answer to somebody were for nothing: the turn was not over",
    ),
    (events.UserTranscript("the secret plan", True, "ann", at=1), "DEBUG", "ann said"),
    (events.UserTranscript("the secret", at=1), "DEBUG", "somebody is saying"),
    (events.ReplyText(1, "r1", "the secret plan"), "DEBUG", "r1 says words"),
    (events.UserText(1, "the secret plan", "ann"), "DEBUG", "ann wrote"),
    (events.ToolStarted(1, "weather", "c1", "{}"), "DEBUG", "the model calls weather (c1)"),
    (events.ToolCalled(1, "weather", "c1"), "INFO", "the model called weather (c1): ok after 0.0 s"),
    (
        events.TurnEnriched(1, "turn-1", "ok", 0.1, 42),
        "INFO",
        "42 characters were added to turn-1 in 0.10 s",
    ),
    (
        events.TurnEnriched(1, "turn-1", "late", 0.3, 0),
        "INFO",
        "what was to be added to turn-1 came too late (0.30 s)",
    ),
    (
        events.BotChanged(1, "Billing", "Reception"),
        "INFO",
        "Billing goes on with the call, in the place of Reception",
    ),
    (events.UserIdle(1, 15, 2), "INFO", "nobody has said anything for 15.0 s (2 in a row)"),
    (events.MuteChanged(1, "output", True), "INFO", "the app muted the bot's output"),
    (events.Outage(1, "backend", 2), "WARNING", "the bot was without its backend for 2.0 s"),
    (
        events.BackendUsage({"output_audio": 50.0}, 0.001, 0.0125, at=1),
        "INFO",
        "the model used output_audio 50; the call has cost 0.0125",
    ),
    (events.AudioUnderrun(1, 1), "INFO", "the bot's voice ran out: gaps were heard"),
    (events.AudioUnderrun(1, 3), "INFO", "the bot's voice ran out 3 times: gaps were heard"),
    (events.AudioDropped(1, "input", 1.5), "DEBUG", "1.5 s of what callers said were dropped"),
    (events.ConnectionLost(1, "backend"), "DEBUG", "the bot is without its backend"),
    (
        events.VendorUnavailable("openai", "openai is asked by nobody for 3 s", at=1),
        "WARNING",
        "the call waits: openai is asked by nobody for 3 s",
    ),
    (events.VendorAvailable("openai", 3.0, at=1), "INFO", "openai answers again, after 3.0 s"),
    (events.LoopLag(1, 0.25), "DEBUG", "the event loop was 250 ms late"),
    (
        events.Overload(1, "thinned", 0.012, 0.82),
        "DEBUG",
        "the process is near its capacity: silent microphones are judged by a part of their frames (82% of a "
        "core, its event loop 12 ms late)",
    ),
    (
        events.Overload(1, "overloaded", 0.06, 0.97),
        "DEBUG",
        "the process is overloaded: gaps may be heard (97% of a core, its event loop 60 ms late)",
    ),
    (events.BackendWarning("audio was dropped", at=1), "WARNING", "audio was dropped"),
    (events.CallStarted(0.02), "DEBUG", "the call began"),
    (events.CallEnded(9, "stopped"), "DEBUG", "the call ended: it was stopped"),
    (events.CallEnded(9, "bot"), "INFO", "the call ended: the bot ended it"),
    (
        events.BackendEnded(1, "customer-ended-call"),
        "INFO",
        "the model ended the conversation: customer-ended-call",
    ),
    (
        events.BackendFailure("no route", "network", True, at=1),
        "WARNING",
        "the backend failed (network): no route, trying again",
    ),
    (
        events.BackendFailure("B stands in for A: no route", "network", True, "A", "B", at=1),
        "WARNING",
        "the backend failed (network): B stands in for A: no route",
    ),
    (
        events.BackendFailure.of(BackendError("gone", action=TRIED_AGAIN), retryable=True, at=1),
        "WARNING",
        "the backend failed (internal): gone: it is tried again",
    ),
    (events.BackendFailure("bad key", "auth", False, at=1), "ERROR", "the backend failed (auth): bad key"),
    (events.ErrorRaised(1, "boom", "on_turn", "ann"), "DEBUG", "on_turn: boom"),
    (events.ErrorRaised(1, "odd bytes", "input", "ann"), "ERROR", "input: odd bytes"),
    (events.ErrorRaised(1, "it is not there", "mcp"), "WARNING", "mcp: it is not there"),
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, under settings that are put back."""
    root = logging.getLogger()
    before = root.level, {name: logging.getLogger(name).level for name in TALKATIVE}
    setup_logging(LogSettings())
    ours = next(handler for handler in root.handlers if isinstance(handler.formatter, LineFormatter))
    assert isinstance(ours, logging.StreamHandler)
    yield ours.setStream(io.StringIO()) and ours.stream
    WORDS.setLevel(logging.WARNING)
    for handler in [known for known in root.handlers if isinstance(known.formatter, LineFormatter)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(before[0])
    for name, level in before[1].items():
        logging.getLogger(name).setLevel(level)


def test_every_kind_of_event_has_a_sentence() -> None:
    assert {event.kind for event, _, _ in LINES} == events.KINDS


@pytest.mark.parametrize(("event", "level", "words"), LINES, ids=[words for _, _, words in LINES])
def test_an_event_is_logged_at_its_level_in_plain_words(
    event: Event, level: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert event.sentence() == words
    with caplog.at_level(logging.DEBUG):
        observer = EventLog("c1", "room-1")
        observer(event)
        if isinstance(event, events.ReplyText):
            observer(events.CallEnded(2, "stopped"))
    if isinstance(event, events.UserTranscript) and not event.final:
        assert not caplog.records
        return
    record = caplog.records[0]
    assert record.levelname == level
    assert (vars(record)["call"], vars(record)["room"]) == ("c1", "room-1")


def test_a_sentence_shows_the_beginning_of_a_long_id() -> None:
    joined = events.PeerJoined(1, "9fb0a9f5-dc6b-4a6a-9cd9-9357b5556e1a")
    assert joined.sentence() == "9fb0a9f5 is in the room"


def test_what_people_say_is_logged_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    observer = EventLog("c1", "room-1")
    with caplog.at_level(logging.INFO):
        for event, _, _ in LINES:
            observer(event)
    assert "secret" not in caplog.text
    with caplog.at_level(logging.DEBUG):
        for event, _, _ in LINES:
            observer(event)
    talking = [event for event, _, _ in LINES if {"text", "heard"} & {item.name for item in fields(event)}]
    # Words that are not settled are none yet.
    assert caplog.text.count("secret") == len(talking) - 1


def test_what_people_say_is_logged_at_info_if_asked(log: io.StringIO) -> None:
    WORDS.setLevel(logging.INFO)
    observer = EventLog("c1", "room-1")
    for event in (
        events.UserTranscript("the", False, "ann", at=1),
        events.UserTranscript("the secret plan", True, "ann", at=2),
        events.UserText(2, "in writing", "ann"),
        events.ToolCalled(3, "weather", "c1", result='"of a tool"'),
        events.ReplyText(3, "r1", "Which "),
        events.ReplyText(3, "r1", "one?"),
        events.ReplyGenerated(3, "r1", 2.0),
        events.ReplyEnded(5, "r1", Heard("r1", 1.25, "Which one?")),
    ):
        observer(event)
    lines = [line.split("  [")[0].split(" ", 1)[1] for line in log.getvalue().splitlines()]
    assert lines == [
        "INFO    ann said: 'the secret plan'",
        "INFO    ann wrote: 'in writing'",
        "INFO    the model called weather (c1): ok after 0.0 s",
        "INFO    r1 was played, 1.2 s of it heard: 'Which one?'",
    ]


@pytest.mark.parametrize("end", ["generated", "interrupted", "call"])
def test_the_words_of_a_reply_are_one_line_however_many_pieces_they_came_in(
    end: str, log: io.StringIO
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    observer = EventLog("c1", "room-1")
    for word in ("Once ", "upon ", "a ", "time"):
        observer(events.ReplyText(1, "r1", word))
    last = {
        "generated": events.ReplyGenerated(2, "r1", 1.0),
        "interrupted": events.ReplyInterrupted(2, "r1", HEARD),
        "call": events.CallEnded(2, "stopped"),
    }
    observer(last[end])
    first, *rest = log.getvalue().splitlines()
    assert "r1 says 'Once upon a time'" in first
    assert len(rest) == 1


def test_lines_of_a_call_fit_100_columns(log: io.StringIO) -> None:
    peer, room = "9fb0a9f5-dc6b-4a6a-9cd9-9357b5556e1a", "0d2c7b11-1b7e-4e0f-8f53-5d2a3c1f9e55"
    for observer in (EventLog("1a2b3c4d", room), EventLog("1a2b3c4d", room, {peer: "caller-1"})):
        for event, level, _ in LINES:
            if level == "INFO" and hasattr(event, "peer"):
                observer(replace(event, peer=peer))  # type: ignore[call-arg]
    lines = log.getvalue().splitlines()
    assert len(lines) > 10
    assert [line for line in lines if len(line) > 100] == []
    assert all("room 0d2c7b11" in line for line in lines)


# --- colour ---


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_and_who_asks_for_it(
    stream: io.StringIO, environ: dict[str, str], coloured: bool
) -> None:
    assert wants_colour(stream, environ) is coloured


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "\x1b[2mDEBUG  "),
        (logging.INFO, "\x1b[32mINFO   "),
        (logging.WARNING, "\x1b[33mWARNING"),
        (logging.CRITICAL, "\x1b[1;31mCRITICAL"),
    ],
)
def test_a_coloured_line_is_the_plain_one_and_obeys_no_stranger(
    log: io.StringIO, level: int, shown: str
) -> None:
    record = logging.LogRecord("mybot", level, "", 0, "\x1b[2Jgone\nline", None, None)
    record.call = "1a2b"
    plain = LineFormatter().format(record)
    coloured = LineFormatter(colour=True).format(record)
    assert shown in coloured
    assert coloured.endswith("\x1b[2m  [call 1a2b]\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert "\x1b[2J" not in coloured


def test_files_and_json_are_never_coloured(
    log: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    setup_logging(LogSettings(file=tmp_path / "bot.log"))
    logging.getLogger("mybot").warning("into the file")
    assert "\x1b" not in (tmp_path / "bot.log").read_text()
    setup_logging(LogSettings(format="json"))
    logging.getLogger("mybot").warning("as JSON")
    setup_logging(LogSettings())
    logging.getLogger("mybot").warning("in colour")
    logging.captureWarnings(False)
    as_json, coloured = capsys.readouterr().err.splitlines()
    assert json.loads(as_json)["message"] == "as JSON"
    assert "\x1b[33mWARNING" in coloured


def test_a_line_names_call_room_and_peer(log: io.StringIO) -> None:
    EventLog(lambda: "1a2b", "room-1")(events.PeerJoined(1, "ann"))
    EventLog(lambda: None, "room-1")(events.ReplyStarted("r1", at=1))
    first, second = log.getvalue().splitlines()
    assert first.split(" ", 1)[1] == "INFO    ann is in the room  [call 1a2b room room-1 peer ann]"
    assert second.split(" ", 1)[1] == "INFO    the bot replies (r1)  [room room-1]"
    hours, minutes, seconds = first.split(" ")[0].split(":")
    assert (len(hours), len(minutes), len(seconds)) == (2, 2, len("44.120"))


def test_a_line_has_the_first_part_of_long_ids_and_whole_ones_where_debug_is_logged(log: io.StringIO) -> None:
    room, peer = "9fb0a9f5-dc6b-4a6a-9cd9-9357b5556e1a", "0d2c7b11-1b7e-4e0f-8f53-5d2a3c1f9e55"
    EventLog("1a2b3c4d", room)(events.PeerJoined(1, peer))
    logging.getLogger().setLevel(logging.DEBUG)
    EventLog("1a2b3c4d", room)(events.PeerJoined(1, peer))
    short, whole = log.getvalue().splitlines()
    assert short.endswith("0d2c7b11 is in the room  [call 1a2b3c4d room 9fb0a9f5 peer 0d2c7b11]")
    assert whole.endswith(f"[call 1a2b3c4d room {room} peer {peer}]")
    assert len(short) <= 100


def test_lines_of_others_end_with_their_logger(log: io.StringIO) -> None:
    logging.getLogger("mybot").info("hello")
    logging.getLogger("fishjam_agents.pipeline.call").info("ours")
    for name in ("httpx", "httpx2", "aioice.ice"):
        logging.getLogger(name).info("GET https://example.org?token=secret")
    assert [line.split(" ", 1)[1] for line in log.getvalue().splitlines()] == [
        "INFO    hello  [mybot]",
        "INFO    ours",
    ]


def test_libraries_stay_quiet_at_debug(log: io.StringIO) -> None:
    setup_logging(LogSettings(level="debug"))
    assert not logging.getLogger("websockets.client").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("mybot").isEnabledFor(logging.DEBUG)


def test_a_second_setup_replaces_the_first(log: io.StringIO, tmp_path: Path) -> None:
    setup_logging(LogSettings(file=tmp_path / "bot.log"))
    logging.getLogger("mybot").info("into the file")
    assert log.getvalue() == ""
    assert (tmp_path / "bot.log").read_text().endswith("INFO    into the file  [mybot]\n")


def test_a_traceback_follows_its_line(log: io.StringIO) -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("fishjam_agents").exception("on_turn failed")
    lines: list[Any] = log.getvalue().splitlines()
    assert lines[0].endswith("ERROR   on_turn failed")
    assert lines[-1] == "ValueError: boom"


def test_a_log_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"log\.file .*bot\.log cannot be written \(No such file"):
        setup_logging(LogSettings(file=tmp_path / "missing" / "bot.log"))


# --- as JSON ---


@pytest.fixture
def json_log(log: io.StringIO) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Lines that are logged as JSON, read."""
    setup_logging(LogSettings(format="json"), {"sk-123456789": "${KEY}"})
    (ours,) = [h for h in logging.getLogger().handlers if isinstance(h.formatter, JsonFormatter)]
    assert isinstance(ours, logging.StreamHandler)
    ours.setStream(log)
    yield lambda: [json.loads(line) for line in log.getvalue().splitlines()]
    logging.captureWarnings(False)
    logging.getLogger().removeHandler(ours)


def test_every_event_is_an_object_a_line_and_no_words_at_info(
    json_log: Callable[[], list[dict[str, Any]]], log: io.StringIO
) -> None:
    observer = EventLog(lambda: "1a2b", "room-1", bot="clerk")
    for event, _, _ in LINES:
        observer(event)
    lines = json_log()
    assert len(lines) == len([level for _, level, _ in LINES if level != "DEBUG"])
    assert "secret" not in log.getvalue()
    joined = lines[0]
    assert joined.pop("time").endswith("+00:00")
    assert joined == {
        "level": "INFO",
        "logger": "fishjam_agents.call",
        "message": "ann is in the room",
        "call": "1a2b",
        "room": "room-1",
        "bot": "clerk",
        "peer": "ann",
        "event": "peer_joined",
        "fields": {"at": 1},
    }
    (ended,) = [line for line in lines if line.get("event") == "reply_ended"]
    assert ended["fields"] == {"at": 1, "reply": "r1", "heard": {"seconds": 1.25}}


def test_words_are_fields_at_debug(json_log: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    EventLog("c1", "room-1")(events.UserTranscript("the secret plan", True, "ann", at=1))
    assert json_log()[-1]["fields"] == {"at": 1, "text": "the secret plan", "final": True}


def test_whatever_is_logged_is_one_line_and_holds_no_secret(
    json_log: Callable[[], list[dict[str, Any]]], log: io.StringIO
) -> None:
    mine = logging.getLogger("mybot")
    log_room.set("room-7")
    try:
        raise ValueError("the key sk-123456789\nis wrong\x1b[31m")
    except ValueError:
        mine.exception("it failed: %s", "sk-123456789", extra={"room": None})
    mine.info("two\nlines \u202e \x1b[2J", extra={"fields": object()})
    mine.warning("%s", {"nan": float("nan")})
    failed, two, _ = json_log()
    assert failed["message"] == "it failed: ${KEY}"
    assert failed["room"] == "room-7"
    assert "ValueError: the key ${KEY}" in failed["exception"]
    assert two["message"] == "two\nlines \u202e \x1b[2J"
    assert log.getvalue().isascii()
    assert "\x1b" not in log.getvalue()
    log_room.set(None)


def test_lines_for_people_hold_no_secret_either(log: io.StringIO) -> None:
    setup_logging(LogSettings(), {"sk-123456789": "${KEY}"})
    (ours,) = [h for h in logging.getLogger().handlers if isinstance(h.formatter, LineFormatter)]
    assert isinstance(ours, logging.StreamHandler)
    ours.setStream(log)
    logging.getLogger("mybot").info("it is sk-123456789")
    assert "it is ${KEY}" in log.getvalue()
