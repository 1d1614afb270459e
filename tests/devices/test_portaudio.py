"""The real library: what the stand-in is like, and a call through PortAudio itself, without hardware.

PulseAudio gives it devices that keep time: a loudspeaker nobody hears, and a microphone that files are played
to.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.wav import read_wav
from tests.devices.fake_sounddevice import CallbackFlags, FakeSoundDevice, Stream
from tests.devices.likeness import likeness

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"
RATE = 24000
TOOLS = ("pulseaudio", "pactl", "pacat", "parec", "paplay")


@pytest.fixture
def sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        pytest.skip(f"no PortAudio ({error}): apt install libportaudio2")
    return sounddevice


@pytest.mark.parametrize("name", ["RawInputStream", "RawOutputStream"])
def test_the_stand_in_takes_what_the_streams_of_the_library_take(sounddevice: Any, name: str) -> None:
    real = getattr(sounddevice, name)
    for method in ("__init__", "start", "stop", "abort", "close"):
        ours, theirs = (inspect.signature(getattr(kind, method)) for kind in (Stream, real))
        assert _parameters(ours) == _parameters(theirs), method
    assert isinstance(inspect.getattr_static(sounddevice._StreamBase, "latency"), property)


@pytest.mark.parametrize(
    "name", ["query_devices", "query_hostapis", "check_input_settings", "check_output_settings"]
)
def test_the_stand_in_has_the_functions_of_the_library(sounddevice: Any, name: str) -> None:
    ours = list(inspect.signature(getattr(FakeSoundDevice(), name)).parameters)
    assert ours == list(inspect.signature(getattr(sounddevice, name)).parameters)


def test_the_stand_in_has_the_flags_of_the_library(sounddevice: Any) -> None:
    names = [name for name in vars(CallbackFlags) if not name.startswith("_")]
    for bit in range(5):
        ours, theirs = CallbackFlags(1 << bit), sounddevice.CallbackFlags(1 << bit)
        assert {name: getattr(ours, name) for name in names} == {
            name: getattr(theirs, name) for name in names
        }


def _parameters(signature: inspect.Signature) -> list[tuple[str, Any]]:
    return [(name, each.default) for name, each in signature.parameters.items()]


@contextmanager
def _running(*words: object, env: dict[str, str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([str(word) for word in words], env=env, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _sound_system(folder: Path) -> Iterator[dict[str, str]]:
    """A PulseAudio of its own; gives the environment in which it is the only sound there is."""
    socket = folder / "native"
    asound = folder / "asound.conf"
    asound.write_text(
        "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
    )
    env = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
        "ALSA_CONFIG_PATH": str(asound),
    }
    modules = (
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        "module-null-sink sink_name=loudspeaker",
        "module-null-sink sink_name=microphone",
    )
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = ("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1")
    with ExitStack() as stack:
        stack.enter_context(
            _running(*words, *(word for each in modules for word in ("-L", each)), env=env, **quiet)
        )
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=env, check=False, **quiet).returncode:
            if time.monotonic() > deadline:
                pytest.skip("PulseAudio does not start here")
            time.sleep(0.1)
        for kind, name in (("sink", "loudspeaker"), ("source", "microphone.monitor")):
            subprocess.run(["pactl", f"set-default-{kind}", name], env=env, check=True, **quiet)
        # A null sink that nobody uses sleeps, and wakes up late.
        nothing = ("--raw", "--latency-msec=10")
        stack.enter_context(
            _running("pacat", *nothing, "--device=loudspeaker", "/dev/zero", env=env, **quiet)
        )
        stack.enter_context(_running("parec", *nothing, "--device=microphone.monitor", env=env, **quiet))
        yield env


def test_a_call_through_portaudio_itself(sounddevice: Any, tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        pytest.skip(
            f"no {', '.join(missing) or 'plugin'}: apt install pulseaudio pulseaudio-utils libasound2-plugins"
        )
    config = tmp_path / "config.yaml"
    config.write_text("agent: {backend: {type: parrot}}\nlog: {level: error}\nlimits: {max_call: 12}\n")
    raw = tmp_path / "heard.raw"
    with _sound_system(tmp_path) as env, raw.open("wb") as file:
        format = ("--raw", f"--rate={RATE}", "--channels=1", "--format=s16le", "--latency-msec=10")
        with (
            _running("parec", *format, "--device=loudspeaker.monitor", env=env, stdout=file),
            _running(
                *(sys.executable, "-m", "fishjam_agents", "console", config),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as console,
        ):
            assert console.stdout is not None
            printed = console.stdout.readline() + console.stdout.readline() + console.stdout.readline()
            assert b"The bot listens" in printed
            words = ["paplay", "--device=microphone", str(FIXTURES / "caller.wav")]
            subprocess.run(words, env=env, check=True, timeout=20)
            rest, errors = console.communicate(timeout=30)
    printed += rest
    assert console.returncode == 0, errors.decode()
    assert re.search(rb"^microphone   default \(latency \d+ ms\)$", printed, re.MULTILINE), printed
    assert re.search(rb" you  \(.* s of speech\)\n.* bot  \(.* s of speech\)", printed), printed
    clip = read_wav(FIXTURES / "caller.wav")
    said = resample(clip.mono(), clip.sample_rate, RATE)
    loud = np.flatnonzero(np.abs(said) > 500)
    middle = said[loud[0] : loud[-1]][:RATE]
    assert likeness(middle, np.frombuffer(raw.read_bytes()[: raw.stat().st_size // 2 * 2], np.int16)) > 0.6
