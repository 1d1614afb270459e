"""Recordings: sound as the room has it to the sample, words as heard, files that survive a crash."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents import events
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends import port as p
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.cli.scenario_run import ScenarioRunner
from fishjam_agents.config.scenario import load_scenario
from fishjam_agents.events import Heard
from fishjam_agents.observe.recording import SoundRecorder, recorder, web_vtt
from fishjam_agents.observe.recording.mix import BOT, CALLERS, StereoMix, TrackPlacement, VoicePlacement
from fishjam_agents.observe.recording.sound_files import OpusFile, WavFile
from fishjam_agents.observe.recording.transcript import Said, Transcript
from fishjam_agents.observe.recording.writer import WRITER
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.simulation import simulate_fast
from fishjam_agents.testing import MemoryCall, Scripted, Step
from tests.cli.test_run import LAST_LINE, PARROT, running, written
from tests.pipeline.conftest import speech, tone

ROOT = Path(__file__).parents[2]
RATE = 16000


def only(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


# --- the sound ---


def pieces(sound: np.ndarray) -> list[tuple[int, int]]:
    """Begin and end of what sounds, in samples; silences of a quarter of a second divide."""
    loud = np.flatnonzero(sound)
    breaks = np.flatnonzero(np.diff(loud) > RATE // 4)
    starts, ends = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


@pytest.mark.parametrize("name", ["interruption", "cough", "two-turns"])
def test_both_channels_are_those_of_the_room_to_the_sample(tmp_path: Path, name: str) -> None:
    runner = ScenarioRunner(ROOT / "examples/parrot/config.yaml", fast=True, seconds=None)
    file = load_scenario(ROOT / f"examples/scenarios/{name}.yaml")
    bot = runner.set_up(file, None).bot.make()
    # Then nothing has to be resampled, and samples can be compared.
    bot.playout = replace(bot.playout, sample_rate=RATE)
    bot.sound_recorder = SoundRecorder(tmp_path)
    result = simulate_fast(bot, file.scenario)
    clip = read_wav(only(tmp_path, ".wav"))
    assert (clip.sample_rate, clip.samples.shape[1]) == (RATE, 2)
    for channel in (CALLERS, BOT):
        truth, found = result.room[:, channel], clip.samples[:, channel]
        expected = pieces(truth)
        assert expected
        for start, end in expected:
            # A stretch begins where its packets arrived, or as the playout estimates.
            shifts = [
                shift
                for shift in range(0, round(0.022 * RATE))
                if np.array_equal(found[start + shift : end + shift], truth[start:end])
            ]
            assert len(shifts) == 1, (channel, start / RATE)
        assert np.count_nonzero(found) == np.count_nonzero(truth)


def packets(placement: TrackPlacement, arrivals: Sequence[float], rate: int = RATE) -> np.ndarray:
    """What is placed of packets of 20 ms, whose samples are numbered, at these times."""
    mix = StereoMix()
    size = rate // 50
    for number, at in enumerate(arrivals):
        samples = np.arange(1 + number * size, 1 + (number + 1) * size, dtype=np.int16)
        for position, placed in placement.place(samples, at):
            mix.add(CALLERS, position, placed)
    for position, placed in placement.finish():
        mix.add(CALLERS, position, placed)
    return mix.take(mix.start + 4 * RATE)[:, CALLERS]


def test_packets_that_arrive_in_bursts_follow_each_other_without_a_seam() -> None:
    punctual = [0.02 * number for number in range(1, 101)]
    rng = np.random.default_rng(1)
    late = [at + rng.uniform(0, 0.1) for at in punctual]
    stalled = [at if not 0.5 < at < 1.2 else 1.2 for at in punctual]
    for arrivals in (late, stalled):
        sound = packets(TrackPlacement(RATE, RATE), arrivals)
        heard = np.flatnonzero(sound)
        assert np.array_equal(sound[heard], np.arange(1, 100 * 320 + 1))
        assert len(heard) == heard[-1] - heard[0] + 1


def test_lost_packets_are_silence_and_what_follows_is_where_it_was_said() -> None:
    kept = [number for number in range(1, 101) if not 40 < number <= 65]
    sound = packets(TrackPlacement(RATE, RATE), [0.02 * number for number in kept])
    heard = np.flatnonzero(sound)
    # The last packet arrived at 2 s, and is there.
    assert heard[-1] + 1 == pytest.approx(2.0 * RATE, abs=0.05 * RATE)
    assert len(heard) == len(kept) * 320


def test_a_microphone_that_was_off_begins_anew_where_it_arrives() -> None:
    arrivals = [0.02 * number for number in range(1, 11)] + [2.5 + 0.02 * number for number in range(1, 11)]
    sound = packets(TrackPlacement(RATE, RATE), arrivals)
    assert np.flatnonzero(sound)[10 * 320] == 2.5 * RATE


def test_another_rate_keeps_time() -> None:
    sound = packets(TrackPlacement(RATE, 24000), [0.02 * number for number in range(1, 51)])
    assert len(np.trim_zeros(sound)) == pytest.approx(24000, abs=30)


def test_what_an_interrupt_cuts_is_not_there() -> None:
    mix = StereoMix()
    voice = VoicePlacement(RATE, mix)
    for number in range(10):
        voice.sent(np.full(320, 1000, np.int16), 1.02 + 0.02 * number)
    voice.cut(1.1)
    voice.sent(np.full(160, 500, np.int16), 1.11)
    sound = mix.take(2 * RATE)[:, BOT]
    assert np.count_nonzero(sound == 1000) == 5 * 320
    assert np.count_nonzero(sound == 500) == 160
    assert np.flatnonzero(sound)[-1] + 1 == round(1.11 * RATE)


def test_several_callers_are_summed_and_clipped() -> None:
    mix = StereoMix()
    for _ in range(2):
        mix.add(CALLERS, 10, np.full(4, 20000, np.int16))
    mix.add(CALLERS, -2, np.full(4, 7, np.int16))
    sound = mix.take(20)
    assert sound[:, CALLERS].tolist() == [7, 7, *[0] * 8, *[32767] * 4, *[0] * 6]
    mix.add(CALLERS, 10, np.full(12, 1, np.int16))
    assert mix.take(22)[:, CALLERS].tolist() == [1, 1]


# --- files ---


def test_a_wav_file_is_right_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    file = WavFile(path, RATE)
    for seconds in (1, 2, 3):
        file.write(np.full((RATE, 2), seconds, np.int16))
        assert read_wav(path).seconds == seconds
    file.close()
    assert read_wav(path).samples[::RATE].tolist() == [[1, 1], [2, 2], [3, 3]]


def decoded(path: Path) -> np.ndarray:
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
    return np.concatenate(frames, axis=1).reshape(frames[0].shape[0], -1)


@pytest.mark.parametrize("rate", [16000, 24000])
def test_opus_keeps_both_channels_and_their_time(tmp_path: Path, rate: int) -> None:
    pytest.importorskip("av")
    path = tmp_path / "call.opus"
    file = OpusFile(path, rate)
    at = np.arange(2 * rate)
    sound = np.zeros((3 * rate, 2), np.int16)
    sound[rate:, CALLERS] = 8000 * np.sin(2 * np.pi * 440 * at / rate)
    for second in range(3):
        file.write(sound[second * rate : (second + 1) * rate])
    # As a killed process leaves it: nearly all is there.
    partly = decoded(path)
    assert partly.shape[1] > 1.5 * 48000
    file.close()
    left, right = decoded(path)
    assert len(left) == pytest.approx(3 * 48000, abs=1000)
    loud = np.flatnonzero(np.abs(left) > 0.05)
    assert loud[0] == pytest.approx(48000, abs=500)
    assert np.abs(right).max() < 0.02
    assert path.read_bytes()[:4] == b"OggS"
    assert path.stat().st_size < 3 * rate * 4 / 5


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_process_that_is_killed_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        caller = ROOT / "audio_fixtures" / "alice_question.wav"
        async with running(config, "--caller", caller) as run:
            await run.says(LAST_LINE)
            await run.logs("the bot replies")
            await asyncio.sleep(3.0)
            os.kill(run.process.pid, signal.SIGKILL)
            await run.process.wait()

    folder = tmp_path / "calls"
    config = written(
        tmp_path, PARROT + f"fishjam: {{port: 0}}\nobserve: {{recording: {{folder: {folder}}}}}\n"
    )
    asyncio.run(scenario())
    clip = read_wav(only(folder, ".wav"))
    assert clip.seconds > 3
    assert np.abs(clip.samples[:, CALLERS]).max() > 1000


def test_a_folder_that_cannot_be_written_costs_the_recording_and_not_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    bot = Announced()
    bot.backend = Parrot()
    bot.sound_recorder = SoundRecorder(tmp_path / "file" / "calls")
    with MemoryCall(bot) as call:
        ann = call.join("ann")
        ann.say(speech("alice_question.wav"))
        call.until("reply_ended")
    assert bot.recorded == []
    (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ends here (Not a directory): the call goes on without it" in error.getMessage()


def test_a_disk_that_stands_still_costs_silence_and_no_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "BACKLOG", 2.0)
    stuck = threading.Event()
    WRITER.put(lambda: stuck.wait(30) and None)
    recording = SoundRecorder(tmp_path).open("c1", RATE, RATE)
    for number in range(500):
        recording.heard("mic", np.full(320, 9, np.int16).tobytes(), 0.02 * (number + 1))
        recording.tick(0.02 * (number + 1))
    assert recording._files._waiting <= 4 * RATE
    stuck.set()
    assert WRITER.wait(10)
    asyncio.run(recording.finish(10.0))
    clip = read_wav(only(tmp_path, ".wav"))
    assert clip.seconds == 10.0
    sound = clip.samples[:, CALLERS]
    assert 0 < np.count_nonzero(sound) < len(sound)
    assert sound[-1] == 9, "what follows the hole is where it belongs"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- the words ---


def test_words_that_come_late_stand_where_they_were_said() -> None:
    who = ("ann", "mic")
    lines = Transcript()
    first = events.UserTurnEnded(4.6, 4.0, *who, 3.0, "turn-1")
    second = [events.UserTurnEnded(6.6, 6.0, *who, 5.0, "turn-2"), events.UserStartedSpeaking(8.1, 8.0, *who)]
    for event in (first, *second):
        assert lines.take(event) is None
    said = lines.take(events.UserTranscript("one two", True, "ann", 3.0, 4.0, at=8.2))
    assert said == Said(3.0, 4.0, "user", "one two", "ann")


class Announced(AgentPipeline):
    def __init__(self) -> None:
        super().__init__()
        self.announced: list[Path] = []
        self.recorded: list[Path] = []

    async def on_recording(self, file: Path) -> None:
        self.announced.append(file)

    async def on_recorded(self, files: Sequence[Path]) -> None:
        self.recorded += files


def test_the_transcript_holds_what_was_heard_and_the_bot_takes_the_files_away(tmp_path: Path) -> None:
    answer = [
        p.UserTranscript("Tell me a story.", final=True),
        p.ReplyStarted("r1"),
        p.ReplyTextDelta("r1", "Once upon a time there was a king."),
        p.ReplyAudio("r1", tone(6.0)),
        p.ReplyAudioEnded("r1"),
    ]
    bot = Announced()
    bot.backend = Scripted([Step(p.TurnStartedInput), Step(p.TurnEndedInput, answer), Step(p.InterruptInput)])
    bot.sound_recorder = SoundRecorder(tmp_path)
    with MemoryCall(bot) as call:
        ann = call.join("ann")
        ann.say(speech("alice_question.wav"))
        call.until("reply_first_audio")
        call.wait(2.0)
        assert bot.announced == [only(tmp_path, ".wav")]
        ann.say(speech("alice_question.wav"))
        call.until("reply_interrupted")
    sound, lines, captions = bot.recorded
    assert sound == bot.announced[0]
    assert captions == only(tmp_path, ".vtt")
    user, reply = map(json.loads, lines.read_text().splitlines())
    (turn, *_) = call.of("user_turn_ended")
    (cut,) = call.of("reply_interrupted")
    assert user == {
        "start": round(turn.start, 3),
        "end": round(turn.media_at, 3),
        "speaker": "user",
        "text": "Tell me a story.",
        "peer": "ann",
    }
    assert reply["text"] == cut.heard.text
    assert "Once upon" in reply["text"]
    assert "king" not in reply["text"]
    assert (reply["speaker"], reply["interrupted"]) == ("bot", True)
    assert captions.read_text().startswith("WEBVTT\n\n00:00:0")
    assert "<v ann>Tell me a story.\n" in captions.read_text()


def test_captions_are_in_order_and_nobody_breaks_out_of_one() -> None:
    told = Transcript()
    stream = [
        events.ReplyFirstAudio(1.0, "r1"),
        events.UserText(2.0, "a < b\n\n00:00:00.000 --> 00:00:09.000\n<b>&", "eve"),
        events.ReplyEnded(3723.5, "r1", Heard("r1", 2.0, "Hello.")),
        events.ReplyFirstAudio(4000.0, "r2"),
        events.ReplyEnded(4001.0, "r2", Heard("r2", 1.0, "")),
    ]
    lines = [json.loads(said.line()) for event in stream if (said := told.take(event)) is not None]
    assert web_vtt(lines) == (
        "WEBVTT\n"
        "\n00:00:01.000 --> 01:02:03.500\n<v bot>Hello.\n"
        "\n00:00:02.000 --> 00:00:02.500\n"
        "<v eve>a &lt; b 00:00:00.000 --&gt; 00:00:09.000 &lt;b&gt;&amp;\n"
    )


def test_an_upload_that_does_not_end_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(Announced):
        async def on_recorded(self, files: Sequence[Path]) -> None:
            await asyncio.sleep(100_000)

    bot = Stuck()
    bot.backend = Parrot()
    bot.sound_recorder = SoundRecorder(tmp_path, "wav")
    with MemoryCall(bot) as call:
        call.join("ann")
        call.wait(1.0)
    assert call.unfinished == []
    assert "The hook on_recorded did not finish within 60 s and was cancelled" in caplog.text
