"""`console` as a program: over files, and with a library in place of hardware."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.errors import install_extra
from tests.devices.fake_sounddevice import FakeSoundDevice
from tests.devices.likeness import likeness

from .command import command

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
RATE = 16000


def heard(path: Path) -> Samples:
    clip = read_wav(path)
    return resample(clip.mono(), clip.sample_rate, RATE)


def between(samples: Samples, start: float, end: float) -> Samples:
    return samples[round(start * RATE) : round(end * RATE)]


@pytest.mark.timeout(180)
def test_a_recording_is_answered_and_the_bot_falls_silent_when_it_is_spoken_over(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "b.wav"
    for _ in range(3):
        code, printed, errors = command(
            capsys, "console", config, "--in", FIXTURES / "interrupter.wav", "--out", out
        )
        assert (code, errors) == (0, "")
        # On a machine this busy words come late, and a turn may fall in two: the program says so.
        if "late: the times are not exact" not in printed and "Gaps" not in printed:
            break
    lines = [line.split(maxsplit=2) for line in printed.splitlines() if re.match(r" *\d+\.\d\d  ", line)]
    assert [speaker for _, speaker, _ in lines] == ["you", "bot", "you", "bot"], printed
    assert "interrupted" in lines[1][2]
    assert re.search(r"\(after \d\.\d\d s\)$", lines[3][2])
    assert "\ngoodbye\n" in printed

    said, played = heard(FIXTURES / "interrupter.wav"), heard(out)
    # Both begin together: nobody was answered while the question was asked.
    assert not between(played, 0, 7.2).any()
    # Its answer has the words of the question, and is over soon after somebody speaks from 11.1 s on.
    assert likeness(between(played, 8.7, 10.7), said) > 0.8
    assert not between(played, 12.0, 13.9).any()
    # Nothing cuts the second answer.
    assert likeness(between(said, 11.4, 13.6), played) > 0.8


def test_a_button_is_held_for_a_recording_where_the_bot_needs_one(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    config.write_text("agent: {backend: {type: parrot}, turns: {mode: push_to_talk}}\nlog: {level: error}\n")
    code, printed, errors = command(
        capsys, "console", config, "--in", FIXTURES / "rate_44100.wav", "--out", tmp_path / "b.wav"
    )
    assert (code, errors) == (0, "")
    assert re.search(r" you  \(1\.\d s of speech\)\n.* bot  \(1\.\d s of speech\)", printed)
    assert likeness(between(heard(FIXTURES / "rate_44100.wav"), 0.3, 1.1), heard(tmp_path / "b.wav")) > 0.8


def test_it_talks_with_a_microphone_and_a_loudspeaker(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeSoundDevice()
    library.hardware.sound = resample(read_wav(FIXTURES / "alice_yes.wav").mono(), 16000, 48000)
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    config.write_text("agent: {backend: {type: parrot}}\nlog: {level: error}\nlimits: {max_call: 5}\n")
    code, printed, errors = command(capsys, "console", config)
    assert (code, errors) == (0, "")
    assert "microphone   Built-in Microphone (latency 30 ms)" in printed
    assert "loudspeaker  Built-in Output (latency 30 ms)" in printed
    assert re.search(r" you  \(.* s of speech\)\n.* bot  \(.* s of speech\)", printed)
    assert "the call ended: limits.max_call was reached" in printed
    assert all(stream.closed for stream in library.streams)
    assert likeness(between(heard(FIXTURES / "alice_yes.wav"), 0.4, 1.0), _played(library)) > 0.8


def _played(library: FakeSoundDevice) -> Samples:
    return resample(np.concatenate(library.hardware.played), library.output_rate, RATE)


def test_devices_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice())
    code, printed, _ = command(capsys, "console", "--list-devices")
    assert code == 0
    assert printed == (
        "   number  in  out  name\n"
        ">        0   2    0  Built-in Microphone (ALSA)\n"
        " <       1   0    2  Built-in Output (ALSA)\n"
        "         2   1    2  USB Headset (ALSA)\n"
        "         3   1    0  USB Camera (ALSA)\n"
        "> is the microphone and < the loudspeaker that is used without --device\n"
    )


def test_without_the_extra_it_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, errors = command(capsys, "console", config)
    assert code == 2
    assert f"the command console needs the extra 'console': {install_extra('console')}" in errors


def test_without_portaudio_it_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    code, _, errors = command(capsys, "console", config)
    assert code == 1
    assert "apt install libportaudio2" in errors
    assert "--in and --out" in errors


def test_a_machine_without_devices_can_use_files(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeSoundDevice()
    library.devices = []
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    code, _, errors = command(capsys, "console", config)
    assert (code, errors) == (
        1,
        "error: this machine has no microphone: plug one in, or play a file with --in and --out\n",
    )
    assert command(capsys, "console", "--list-devices")[::2] == (
        1,
        "error: this machine has no microphone and no loudspeaker: plug one in, or play a file with "
        "--in and --out\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "telephone"], "no microphone is called 'telephone': see --list-devices"),
        (["--device", "usb", "--device", "output"], "--device 'usb' fits several: give the number of one"),
        (["--device", "17"], "there is no device 17: see --list-devices"),
        (["--device", "1"], "device 1 (Built-in Output) is no microphone: give --device twice"),
        (["--device", "camera"], "no loudspeaker is called 'camera'"),
        (["--device", "0", "--device", "1", "--device", "2"], "give --device once for both, or twice"),
        (["--in", "missing.wav", "--out", "b.wav"], "cannot read missing.wav"),
    ],
)
def test_mistakes_in_the_command_are_told(
    capsys: pytest.CaptureFixture[str],
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice())
    code, _, errors = command(capsys, "console", config, *words)
    assert code == 2
    assert message in errors


def test_a_file_that_cannot_be_written_is_told_before_the_call(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    words = ("--in", FIXTURES / "alice_yes.wav", "--out", tmp_path / "missing" / "b.wav")
    code, printed, errors = command(capsys, "console", config, *words)
    assert (code, printed) == (1, "")
    assert errors.startswith("error: cannot write ")


def test_a_bot_whose_audio_is_elsewhere_is_refused(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    config.write_text("agent: {backend: {type: vapi_peer, api_key: k, assistant_id: a}}\n")
    words = ("--in", FIXTURES / "alice_yes.wav", "--out", tmp_path / "b.wav")
    code, printed, errors = command(capsys, "console", config, *words)
    assert (code, printed) == (1, "")
    assert "speaks in rooms of Fishjam only: use the command run" in errors


def test_a_backend_that_fails_for_good_ends_the_call_with_its_message(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path
) -> None:
    (tmp_path / "bot.py").write_text(
        "from fishjam_agents import AgentPipeline, BackendError\n"
        "from fishjam_agents.backends import Parrot\n"
        "class Broken(Parrot):\n"
        "    def connect(self, context):\n"
        "        raise BackendError('the key was rejected', action='set another')\n"
        "class Bot(AgentPipeline):\n"
        "    backend = Broken()\n"
    )
    config.write_text("agent: {pipeline: 'bot:Bot'}\nlog: {level: error, file: log.txt}\n")
    words = ("--in", FIXTURES / "alice_yes.wav", "--out", tmp_path / "b.wav")
    code, printed, errors = command(capsys, "console", config, *words)
    assert code == 1
    assert "*    the backend failed" in printed
    assert errors == "error: the key was rejected: set another\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the config.yaml of the bot"),
        (["CONFIG", "--in", "a.wav"], "give --in and --out"),
        (["CONFIG", "--in", "a.wav", "--out", "b.wav", "--device", "1"], "files need no device"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, _, errors = command(capsys, "console", *words)
    assert code == 2
    assert message in " ".join(errors.replace("│", " ").split())


def test_a_device_that_is_in_use_is_named(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = FakeSoundDevice()
    library.refuses_to_start = True
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    code, _, errors = command(capsys, "console", config)
    assert code == 1
    assert errors.startswith(
        "error: the microphone 'Built-in Microphone' cannot be used (Error starting stream"
    )
    assert all(stream.closed for stream in library.streams)
