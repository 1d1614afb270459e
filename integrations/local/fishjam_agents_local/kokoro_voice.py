"""Kokoro in memory: the network, the styles it speaks in, and its vocabulary."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import FULL_SCALE, Samples, saturate
from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents_local.kokoro_phonemes import phonemes, tokens
from fishjam_agents_local.memory import require_memory
from fishjam_agents_local.voice import Listener, SharedVoice, Utterance

RATE = 24_000
"""Hz."""
_GAIN = 0.7
"""It speaks at -19 dBFS; people who speak to it, and other voices, at -22."""
_QUIET = 10 ** (-45 / 20)
_BEFORE, _BEHIND = 0.03, 0.15
"""Seconds of quiet that are left at a sentence's ends, of 0.25 and 0.6."""
_PIECE = RATE // 2
_BESIDE = 190e6
"""Bytes that speaking takes beside the weights."""
_SHOWN = 200
_WARM_UP = "One moment."


@dataclass(frozen=True, slots=True)
class KokoroFiles:
    """Files that make a voice.

    Attributes:
        model: The ONNX file, or the parts of which it is joined.
        styles: The file of styles, an `.npz` whatever its name.
        vocabulary: A JSON file with the tokens of phonemes as `vocab`.
        digest: A file with the SHA-256 of the model, where there is one.
    """

    model: tuple[Path, ...]
    styles: Path
    vocabulary: Path
    digest: Path | None = None

    @property
    def name(self) -> str:
        """The model in messages."""
        return str(self.model[0])


@lru_cache
def style_names(path: Path) -> Sequence[str]:
    """Return the names of the styles in a file.

    Raises:
        ConfigError: It has none.
    """
    try:
        with zipfile.ZipFile(path) as file:
            names = [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} holds no styles ({error}): get it again", setting="kokoro.voices"
        ) from error
    if not names:
        raise ConfigError(f"{path} holds no styles: get it again", setting="kokoro.voices")
    return names


@lru_cache
def read_vocabulary(path: Path) -> Mapping[str, int]:
    """Return the tokens of phonemes.

    Raises:
        ConfigError: The file has none.
    """
    setting = "kokoro.vocab"
    try:
        content = json.loads(path.read_bytes())
        vocabulary = content["vocab"]
        if vocabulary and all(isinstance(token, int) for token in vocabulary.values()):
            return dict(vocabulary)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name Kokoro's config.json", setting=setting
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} has no `vocab`: name Kokoro's config.json", setting=setting) from error
    raise ConfigError(f"{path} has no `vocab`: name Kokoro's config.json", setting=setting)


class KokoroVoice(SharedVoice):
    """Kokoro, loaded once for all styles; `Utterance.speaker` is a style and a language of espeak-ng.

    Args:
        files: Its files.
    """

    # It makes speech some three times as fast as it is played.
    first = 32
    growth = 2.0

    def __init__(self, files: KokoroFiles) -> None:
        super().__init__("Kokoro")
        self._files = files
        self._network: _Network | None = None

    def load(self) -> None:
        """Load the network and run it once."""
        self._loaded()

    def make(self, utterance: Utterance, listener: Listener) -> None:
        """Speak."""
        network = self._loaded()
        style, language = utterance.speaker
        for piece in tokens(phonemes(utterance.text, language), network.vocabulary):
            run = network.options()
            listener.on_stop(partial(_terminate, run))
            try:
                wave = network.run(piece, style, utterance.speed, run)
            except Exception as error:
                # A run that is stopped fails, with a class and words of onnxruntime's.
                if listener.stopped:
                    return
                raise BackendError(
                    f"Kokoro could not speak a sentence ({_line(error)}): try again", retryable=True
                ) from error
            samples = _samples(wave, utterance.volume)
            for at in range(0, len(samples), _PIECE):
                listener.put(samples[at : at + _PIECE].tobytes())

    def close(self) -> None:
        """Let go of the network."""
        self._network = None

    def _loaded(self) -> _Network:
        network = self._network
        if network is None:
            try:
                network = _Network(self._files)
                style = style_names(self._files.styles)[0]
                network.run(tokens(_WARM_UP, network.vocabulary)[0], style, 1.0, network.options())
            except ConfigError as error:
                raise BackendError(str(error), failure="config") from error
            except Exception as error:
                # onnxruntime has a class of its own for each failure, and all of them say: not this file.
                raise BackendError(
                    f"Kokoro cannot speak ({_line(error)}): check {self._files.name}", failure="config"
                ) from error
            self._network = network
        return network


class _Network:
    def __init__(self, files: KokoroFiles) -> None:
        import onnxruntime

        weights = sum(part.stat().st_size for part in files.model)
        require_memory(files.name, weights + _BESIDE, setting="kokoro.model")
        self.options = partial(_run_options, onnxruntime)
        self.vocabulary = read_vocabulary(files.vocabulary)
        with np.load(files.styles, allow_pickle=False) as styles:
            self._styles = {name: _style(styles[name]) for name in styles.files}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            _joined(files), options, providers=["CPUExecutionProvider"]
        )
        self._types = {given.name: given.type for given in self._session.get_inputs()}
        if self._types.keys() not in ({"tokens", "style", "speed"}, {"input_ids", "style", "speed"}):
            raise ValueError(f"its inputs are {', '.join(sorted(self._types))}")

    def run(self, ids: Sequence[int], style: str, speed: float, options: Any) -> npt.NDArray[np.float32]:
        """Return the sound of tokens at `RATE`, -1 to 1, shape (n,)."""
        # The style of a sentence depends on its length.
        styles = self._styles[style]
        row = styles[min(len(ids), len(styles)) - 1]
        # One export of the model counts its speed in whole times.
        pace = np.int32 if self._types["speed"] == "tensor(int32)" else np.float32
        inputs = {
            "tokens" if "tokens" in self._types else "input_ids": np.array([[0, *ids, 0]], np.int64),
            "style": row[np.newaxis],
            "speed": np.array([max(1, round(speed)) if pace is np.int32 else speed], pace),
        }
        wave: npt.NDArray[np.float32] = np.asarray(self._session.run(None, inputs, options)[0], np.float32)
        return wave.reshape(-1)


def _run_options(runtime: Any) -> Any:
    options = runtime.RunOptions()
    options.log_severity_level = 4
    return options


def _terminate(options: Any) -> None:
    options.terminate = True


def _style(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return rows.reshape(len(rows), -1).astype(np.float32)


def _joined(files: KokoroFiles) -> bytes | str:
    """Return the model, read where it is in parts, else its name.

    Raises:
        ValueError: The parts are not what they were made of.
    """
    if len(files.model) == 1:
        return files.name
    content = b"".join(part.read_bytes() for part in files.model)
    if files.digest is not None and sha256(content).hexdigest() != files.digest.read_text().strip():
        raise ValueError("its parts are damaged")
    return content


def _samples(wave: npt.NDArray[np.float32], volume: float) -> Samples:
    """Return the sound without most of the quiet at its ends, as int16."""
    loud = np.flatnonzero(np.abs(wave) > _QUIET)
    if not len(loud):
        return np.zeros(0, np.int16)
    begin = max(0, int(loud[0]) - round(_BEFORE * RATE))
    wave = wave[begin : int(loud[-1]) + round(_BEHIND * RATE)]
    return saturate(np.rint(wave * np.float32(_GAIN * volume * FULL_SCALE))).astype("<i2")


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN]
