from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay import (
    Happened,
    RecordError,
    Recording,
    differences,
    read_recording,
    recorded,
    replayed,
)
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.turns.decision_log import COMMANDS, RecordedMachine
from fishjam_agents.turns.endpointing import Adaptive, BackendEnds, Fixed, PerSpeaker, Punctuation
from fishjam_agents.turns.machine import (
    Confirmed,
    SpeechEnded,
    SpeechStarted,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnStarted,
)
from fishjam_agents.turns.policies import BargeIn
from fishjam_agents.turns.settings import TurnSettings
from fishjam_agents.turns.smart_turn import SmartTurn


@dataclass(frozen=True)
class Frame:
    score: float
    tail: bool = False
    snr: float = 20.0

    @property
    def voiced(self) -> bool:
        return self.score > 0


VOICE, QUIET = Frame(2.9), Frame(-3.0)


def frames(machine: TurnMachine, frame: Frame, count: int, at: float, bot: bool = False) -> list[TurnEvent]:
    happened: list[TurnEvent] = []
    for number in range(count):
        happened += machine.feed(frame, at + 0.02 * (number + 1), bot)
    return happened


class Call:
    """A call with one microphone, written down."""

    def __init__(self, turns: TurnSettings | None = None) -> None:
        self.turns = turns or TurnSettings()
        self.recorder = MemoryRecorder()
        self.record = self.recorder.open("c0ffee", self.turns, HearingSettings())
        self.machine = RecordedMachine(self.turns, 4.0, self.record.open_log("ann", "mic", 4.0))

    def close(self, path: Path, at: float = 60.0) -> Recording:
        self.record.close(at)
        path.write_text(self.recorder.text())
        return read_recording(path)


def test_every_input_of_the_turn_machine_is_recorded() -> None:
    """A new way to tell a machine something must be added to `RecordedMachine`."""
    inputs = {"feed", "silence", *COMMANDS}
    public = {name for name, _ in inspect.getmembers(TurnMachine, inspect.isfunction) if name[0] != "_"}
    # It is asked of the machine, and tells it nothing.
    assert public - {"beginning"} == inputs
    assert inputs <= vars(RecordedMachine).keys()
    for name, arguments in COMMANDS.items():
        assert [*inspect.signature(getattr(TurnMachine, name)).parameters][1:] == list(arguments)


def test_a_call_is_read_back_as_it_was(tmp_path: Path) -> None:
    call = Call(TurnSettings(end_silence=0.8))
    happened = frames(call.machine, QUIET, 10, 0.0)
    happened += frames(call.machine, VOICE, 60, 0.2)
    happened += call.machine.silence(0.3)
    happened += frames(call.machine, VOICE, 20, 1.7)
    happened += frames(call.machine, QUIET, 60, 2.1)
    happened += frames(call.machine, VOICE, 3, 3.3, bot=True)
    happened += call.machine.confirm()
    happened += call.machine.end(3.4, "left")
    call.machine.silence(2.0)
    recording = call.close(tmp_path / "call.jsonl")
    assert recording.turns() == call.turns
    assert recording.ended == 60.0
    assert not recording.cut
    assert [recording.name(number) for number in recording.microphones] == ["ann"]
    assert [each.event for each in recorded(recording)] == happened
    assert replayed(recording) == recorded(recording)
    assert TurnEnded in {type(event) for event in happened}
    assert Confirmed in {type(event) for event in happened}


def test_words_are_written_down_only_where_they_are_judged() -> None:
    for turns, written in ((TurnSettings(), 0), (TurnSettings(barge_in=BargeIn(words=1)), 1)):
        call = Call(turns)
        call.machine.understood("my number is", False)
        assert call.recorder.text().count("my number is") == written


decisions = st.builds(
    Frame, st.floats(-3, 3) | st.sampled_from([-3.0, 3.0, -0.0]), st.booleans(), st.floats(-10, 60)
)
steps = st.one_of(
    st.tuples(st.just("feed"), decisions, st.integers(1, 60), st.booleans()),
    st.tuples(st.just("silence"), st.floats(0.001, 3.0), st.integers(1, 5), st.none()),
    st.tuples(st.just("confirm"), st.none(), st.just(1), st.none()),
    st.tuples(st.just("understood"), st.sampled_from(["mhm", "no.", "well and"]), st.just(1), st.booleans()),
    st.tuples(st.just("model_done"), st.none(), st.just(1), st.none()),
    st.tuples(st.just("expect_words"), st.none(), st.just(1), st.none()),
    st.tuples(st.just("open"), st.none(), st.just(1), st.booleans()),
    st.tuples(st.just("end"), st.sampled_from(["left", "outage"]), st.just(1), st.none()),
)
settings_of_turns = st.builds(
    TurnSettings,
    end_of_turn=st.sampled_from([Adaptive(), Fixed(0.4), PerSpeaker(), Punctuation(), BackendEnds()]),
    barge_in=st.sampled_from([BargeIn(), BargeIn(voice=0.5), BargeIn(words=2, backchannel=("en",))]),
    withdraw=st.floats(0.1, 1.0),
    missing_limit=st.floats(0.3, 3.0),
    max_turn=st.floats(1.0, 5.0),
)


@given(st.lists(steps, max_size=25), settings_of_turns, st.floats(0, 1e6))
def test_a_replay_gives_the_very_same_events(
    tmp_path_factory: pytest.TempPathFactory, script: list[Any], turns: TurnSettings, at: float
) -> None:
    call = Call(turns)
    happened: list[TurnEvent] = []
    for name, what, count, bot in script:
        for _ in range(count):
            if name == "feed":
                at += 0.02
                happened += call.machine.feed(what, at, bot)
            elif name == "silence":
                at += what
                happened += call.machine.silence(what)
            elif name == "understood":
                happened += call.machine.understood(what, bool(bot))
            elif name == "open":
                happened += call.machine.open(at, bool(bot))
            elif name == "end":
                happened += call.machine.end(at, what)
            else:
                happened += getattr(call.machine, name)()
    recording = call.close(tmp_path_factory.getbasetemp() / "call.jsonl")
    before = recorded(recording)
    assert [each.event for each in before] == happened
    assert replayed(recording) == before
    assert differences(before, replayed(recording)) == []


# --- what is different ---


def spoken(path: Path, *, pause: float = 0.4) -> Recording:
    """Two phrases with a pause between them, and quiet."""
    call = Call(TurnSettings(end_silence=0.6))
    frames(call.machine, VOICE, 50, 0.0)
    frames(call.machine, QUIET, round(pause / 0.02), 1.0)
    frames(call.machine, VOICE, 50, 1.0 + pause)
    frames(call.machine, QUIET, 100, 2.0 + pause)
    return call.close(path)


def changes(recording: Recording, turns: TurnSettings) -> list[tuple[str, str, int]]:
    found = differences(recorded(recording), replayed(recording, turns))
    marks = [("-" if d.after is None else "+" if d.before is None else "~") for d in found]
    return [
        (mark, (d.before or d.after).kind, round(d.moved * 1000))  # type: ignore[union-attr]
        for mark, d in zip(marks, found, strict=True)
    ]


def test_a_longer_wait_moves_the_end_of_the_turn(tmp_path: Path) -> None:
    recording = spoken(tmp_path / "call.jsonl")
    assert changes(recording, TurnSettings(end_silence=0.8)) == [("~", "user_turn_ended", 200)]


def test_a_shorter_wait_makes_two_turns_of_one(tmp_path: Path) -> None:
    recording = spoken(tmp_path / "call.jsonl")
    found = differences(recorded(recording), replayed(recording, TurnSettings(end_silence=0.3)))
    new = [d.after for d in found if d.before is None and d.after is not None]
    assert [type(each.event) for each in new] == [TurnEnded, TurnStarted]
    (moved,) = [d for d in found if d.before is not None and isinstance(d.before.event, TurnEnded)]
    assert isinstance(moved.before, Happened)
    assert isinstance(moved.after, Happened)
    assert moved.before.event == TurnEnded(0.0, pytest.approx(2.4))
    assert moved.after.event == TurnEnded(pytest.approx(1.4), pytest.approx(2.4))
    assert round(moved.moved, 3) == -0.3


def test_a_longer_wait_makes_one_turn_of_two(tmp_path: Path) -> None:
    recording = spoken(tmp_path / "call.jsonl", pause=0.7)
    found = changes(recording, TurnSettings(end_silence=1.0))
    assert ("-", "user_turn_ended", 0) in found
    assert ("-", "user_turn_started", 0) in found
    assert ("~", "user_turn_ended", 400) in found


def test_silence_that_changed_nothing_may_matter_to_another_setting(tmp_path: Path) -> None:
    call = Call(TurnSettings(missing_limit=0.5))
    frames(call.machine, VOICE, 50, 0.0)
    for _ in range(200):
        call.machine.silence(0.02)
    recording = call.close(tmp_path / "call.jsonl")
    assert len((tmp_path / "call.jsonl").read_text().splitlines()) < 20
    assert changes(recording, TurnSettings(missing_limit=1.5)) == [("~", "user_turn_ended", 1000)]


def test_only_the_last_frame_of_a_line_brings_events(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    spoken(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert max(len(line["score"]) for line in lines if "score" in line) == 50
    kinds = [event["event"] for line in lines for event in line.get("events", ())]
    assert kinds == [
        kind.__name__
        for kind in (SpeechStarted, TurnStarted, SpeechEnded, SpeechStarted, SpeechEnded, TurnEnded)
    ]


# --- files that are not as they should be ---


def test_a_record_cut_in_its_last_line_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    whole = spoken(path)
    content = path.read_bytes()
    for size in range(content.index(b"\n") + 1, len(content), 97):
        path.write_bytes(content[:size])
        recording = read_recording(path)
        assert recording.ended is None
        assert recording.cut == (content[size - 1 : size] != b"\n")
        before = recorded(recording)
        assert before == recorded(whole)[: len(before)]
        assert replayed(recording)[: len(before)] == before


HEADER = {
    "format": "fishjam-agents call",
    "version": 1,
    "call": "c",
    "package": "9.9.9",
    "turns": {},
    "hearing": {},
}
MICROPHONE = {"microphone": 1, "peer": "ann", "track": "mic", "start": 4.0}
FRAMES = {"microphone": 1, "at": 0.02, "bot": False, "score": [1.0], "tail": "0", "snr": [3]}

WRONG = [
    ([], "this is no record of a call: give a call.jsonl"),
    ([{"events": []}], "this is no record of a call: give a call.jsonl"),
    (
        [{**HEADER, "version": 7}],
        "the record has version 7, this fishjam_agents reads 1: replay it with",
    ),
    ([{**HEADER, "turns": {"end_silence": "x"}}], "end_silence is wrong"),
    (
        [{**HEADER, "turns": {"loudness": 1}}],
        "turns.loudness is not a setting: replay it with the version",
    ),
    ([{**HEADER, "turns": {"end_silence": 99}}], "turns.end_silence must be between"),
    ([HEADER, FRAMES], "there is no microphone 1"),
    ([HEADER, MICROPHONE, MICROPHONE], "microphone 1 is there twice"),
    ([HEADER, MICROPHONE, {**FRAMES, "snr": []}], "not as many of one thing as of the other"),
    ([HEADER, MICROPHONE, {**FRAMES, "tail": "x"}], "the line is damaged"),
    ([HEADER, MICROPHONE, {**FRAMES, "score": [float("nan")]}], "a number without end"),
    ([HEADER, MICROPHONE, {**FRAMES, "score": [10**400]}], "a number without end"),
    ([HEADER, MICROPHONE, {**FRAMES, "events": [{"event": "Sneezed"}]}], "an event of no known kind"),
    ([HEADER, MICROPHONE, {**FRAMES, "events": [{"event": ["TurnStarted"]}]}], "an event of no known kind"),
    ([HEADER, MICROPHONE, {"microphone": 1, "command": "reset"}], "there is no command 'reset'"),
    ([HEADER, MICROPHONE, {"microphone": 1, "command": "end"}], "end wants at and reason"),
    ([HEADER, MICROPHONE, {"microphone": 1}], "the line is of no known kind"),
    ([HEADER, {"end": 1.0}, MICROPHONE], "something follows the end"),
]


@pytest.mark.parametrize(("lines", "message"), WRONG)
def test_a_file_that_is_no_record_is_refused_in_one_sentence(
    tmp_path: Path, lines: list[Any], message: str
) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RecordError) as caught:
        read_recording(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{max(len(lines), 1)}: ")
    assert len(str(caught.value).splitlines()) == 1


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
KEYS = ["microphone", "at", "bot", "score", "tail", "snr", "silence", "command", "events", "end", "track"]


@given(st.lists(st.binary(max_size=60) | st.dictionaries(st.sampled_from(KEYS), plain, max_size=8)))
def test_whatever_a_file_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.jsonl"
    start = [json.dumps(HEADER).encode(), json.dumps(MICROPHONE).encode()]
    rest = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join([*start, *rest]))
    try:
        recording = read_recording(path)
    except RecordError:
        return
    replayed(recording)


def test_a_line_nested_without_end_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text(json.dumps(HEADER) + "\n" + "[" * 200_000 + "\n")
    with pytest.raises(RecordError, match="the line is damaged"):
        read_recording(path)


def test_a_folder_or_nothing_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is a folder: name the file in it"):
        read_recording(tmp_path)
    with pytest.raises(RecordError, match="there is no such file: check the path"):
        read_recording(tmp_path / "none.jsonl")


def test_a_record_that_users_keep_stays_readable() -> None:
    """One file for each version of the format: people keep records as tests."""
    recording = read_recording(Path(__file__).parent / "records" / "version-1.jsonl")
    assert recording.ended is not None
    assert [each.kind for each in recorded(recording)] == [
        "user_started_speaking",
        "user_turn_started",
        "user_stopped_speaking",
        "user_turn_ended",
    ]
    assert [each.kind for each in replayed(recording)].count("user_turn_ended") == 1


def test_a_prediction_is_an_input_and_is_replayed_without_a_model(tmp_path: Path) -> None:
    call = Call(TurnSettings(end_of_turn=SmartTurn(model=Path("models/of-another-machine.onnx"))))
    frames(call.machine, VOICE, 60, 0.0)
    frames(call.machine, QUIET, 11, 1.2)
    call.machine.predicted(call.machine.paused_since or 0.0, 0.9314159265358979)
    ended = frames(call.machine, QUIET, 9, 1.42)
    recording = call.close(tmp_path / "call.jsonl")
    assert replayed(recording) == recorded(recording)
    (turn,) = [each.event for each in recorded(recording) if isinstance(each.event, TurnEnded)]
    assert turn in ended
    assert (turn.rule, turn.probability) == ("complete", 0.9314159265358979)
    settings = TurnSettings(end_of_turn=SmartTurn(sure=0.95))
    assert not [each for each in replayed(recording, settings) if isinstance(each.event, TurnEnded)]
