from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.vad import Decision
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import Parrot
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.observe.replay import CallRecorder, read_recording, recorded, replayed, writer
from fishjam_agents.observe.replay.format import End, Frames, Weighed
from fishjam_agents.observe.replay.recorder import MemoryRecorder
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing import MemoryCall, MemoryRoom, VirtualClock, speech
from fishjam_agents.turns.settings import TurnSettings

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
MORNING = datetime(2026, 11, 21, 8, 5, 12, tzinfo=UTC)


class Bot(AgentPipeline):
    backend = Parrot()


def call(recorder: CallRecorder, clock: VirtualClock) -> Bot:
    """Four seconds with somebody who asks something and leaves."""
    import asyncio

    bot = Bot()
    bot.recorder = recorder
    question = read_wav(FIXTURES / "alice_question.wav").mono()

    async def main() -> None:
        async with MemoryRoom() as room, asyncio.TaskGroup() as tasks:
            tasks.create_task(bot.run(room.session, room=room))
            ann = room.join("ann")
            await ann.speak(question)
            await asyncio.sleep(2)
            room.leave("ann")
            await asyncio.sleep(0.1)
            bot.stop()

    clock.run(main())
    return bot


def test_every_call_leaves_a_file_that_replays(tmp_path: Path, virtual_clock: VirtualClock) -> None:
    recorder = CallRecorder(tmp_path / "calls", now=lambda: MORNING)
    call(recorder, virtual_clock)
    assert recorder.wait()
    (path,) = (tmp_path / "calls").iterdir()
    recording = read_recording(path)
    assert path.name == f"20261121T080512Z-{recording.header.call}.jsonl"
    assert recording.header.begun == "2026-11-21T08:05:12+00:00"
    assert recording.ended is not None
    kinds = [each.kind for each in recorded(recording)]
    assert kinds == [
        "user_started_speaking",
        "user_turn_started",
        "user_stopped_speaking",
        "user_turn_ended",
    ]
    assert replayed(recording) == recorded(recording)


def test_a_folder_that_cannot_be_made_is_a_warning_and_not_the_end_of_the_call(
    tmp_path: Path, virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    recorder = CallRecorder(tmp_path / "file" / "calls")
    bot = call(recorder, virtual_clock)
    assert recorder.wait()
    assert bot.call_id is None
    (warning,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "Not a directory: the call goes on without it" in warning.getMessage()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    file = writer._File(Path("/dev/full"))
    for _ in range(3):
        file.write(End(1.0))
    (warning,) = caplog.records
    assert "/dev/full ends here (No space left on device: the call goes on without it" in warning.getMessage()


def test_words_that_no_utf_8_can_hold_end_no_record(tmp_path: Path) -> None:
    recorder = CallRecorder(tmp_path, now=lambda: MORNING)
    record = recorder.open("c", TurnSettings(), HearingSettings())
    log = record.open_log("ann", "mic", 4.0)
    log.command("understood", {"text": "Zoë \ud83d", "final": True}, ())
    log.frame(Weighed(float("nan"), False, 1.0), 0.02, False, ())
    record.close(1.0)
    assert recorder.wait(5)
    _, _, understood, frame, end = (tmp_path / "20261121T080512Z-c.jsonl").read_text("utf-8").splitlines()
    assert json.loads(understood)["text"] == "Zoë \ud83d"
    assert "Zoë" in understood
    assert "NaN" in frame
    assert json.loads(end) == {"end": 1.0}


def test_a_disk_that_does_not_keep_up_ends_the_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKLOG", 0)
    recorder = CallRecorder(tmp_path)
    record = recorder.open("c", TurnSettings(), HearingSettings())
    record.close(1.0)
    assert recorder.wait()
    assert [each.getMessage() for each in caplog.records if "too slow" in each.getMessage()] != []
    assert not list(tmp_path.iterdir())


def test_what_waits_for_the_disk_is_written_before_the_process_ends(tmp_path: Path) -> None:
    program = f"""
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.settings import TurnSettings
record = CallRecorder({str(tmp_path)!r}).open("c", TurnSettings(), HearingSettings())
for number in range(500):
    record.open_log(str(number), "mic", 4.0)
record.close(3.0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    (path,) = tmp_path.iterdir()
    recording = read_recording(path)
    assert recording.ended == 3.0
    assert len(recording.microphones) == 500


def test_a_process_that_is_killed_leaves_what_it_had_heard(tmp_path: Path) -> None:
    program = f"""
import os
from fishjam_agents.observe.replay import CallRecorder
from fishjam_agents.observe.replay.format import Weighed
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.turns.decision_log import RecordedMachine
from fishjam_agents.turns.settings import TurnSettings
turns = TurnSettings()
recorder = CallRecorder({str(tmp_path)!r})
tape = recorder.open("c", turns, HearingSettings()).open_log("ann", "mic", 4.0)
machine = RecordedMachine(turns, 4.0, tape)
for number in range(1, 201):
    machine.feed(Weighed(3.0 if 20 < number < 100 else -3.0, False, 20.0), number * 0.02)
recorder.wait()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    (path,) = tmp_path.iterdir()
    recording = read_recording(path)
    assert recording.ended is None
    assert [each.kind for each in recorded(recording)][-1] == "user_turn_ended"
    last = recording.inputs[-1]
    assert isinstance(last, Frames)
    assert last.at[-1] == pytest.approx(4.0, abs=1.0)


@pytest.mark.parametrize("mode", ["active_speaker", "mix", "per_peer"])
def test_every_way_to_hear_a_room_is_recorded(mode: str) -> None:
    recorder = MemoryRecorder()
    bot = Bot()
    bot.recorder = recorder
    bot.hearing = HearingSettings(mode=mode)  # type: ignore[arg-type]
    with MemoryCall(bot) as call:
        ann, bob = call.join("ann"), call.join("bob")
        ann.say(speech(1.5))
        call.until("user_turn_ended")
        bob.say(speech(1.2, pitch=180))
        call.until("user_turn_ended 2")
        call.wait(5)
    lines = recorder.text().splitlines()
    peers = [json.loads(line)["peer"] for line in lines if '"track"' in line]
    assert peers == ([None] if mode == "mix" else ["ann", "bob"])
    ended = [line for line in lines if "TurnEnded" in line]
    assert len(ended) == 2


@pytest.mark.parametrize("callers", [["interrupter.wav"], ["cougher.wav", "alice_pause.wav"]])
def test_a_simulated_call_replays_to_its_own_timeline(tmp_path: Path, callers: list[str]) -> None:
    result = simulate_fast(Bot(), [read_wav(FIXTURES / name) for name in callers])
    path = tmp_path / "call.jsonl"
    path.write_text(result.record)
    recording = read_recording(path)
    before = recorded(recording)
    assert replayed(recording) == before
    zero = recording.header.zero
    ended = [
        (round(each.at + zero, 2), recording.name(each.microphone))
        for each in before
        if each.kind == "user_turn_ended"
    ]
    told = [event for event in result.timeline["events"] if event["kind"] == "user_turn_ended"]
    assert [(round(event["at"], 2), event["peer"]) for event in told] == ended
    assert ended


def test_a_minute_of_a_microphone_has_a_bounded_size() -> None:
    """Every number at its longest: no second of sound takes more than this."""
    rng = np.random.default_rng(5)
    recorder = MemoryRecorder()
    record = recorder.open("c", TurnSettings(), HearingSettings())
    tape = record.open_log("ann", "mic", 4.0)
    before = len(recorder.text())
    for number in range(3000):
        level, noise = rng.uniform(-99, -10, 2)
        score, snr = rng.uniform(-3, 3), rng.uniform(-60, 60)
        decision = Decision(float(score), bool(score > 0), bool(number % 2), level, noise, float(snr))
        # Times that never follow on from one another, as under a bad clock.
        tape.frame(decision, number * 0.02 + float(rng.uniform(0, 0.01)), False, ())
    record.close(60.0)
    assert len(recorder.text()) - before < 220_000
