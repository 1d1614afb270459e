"""Whisper in memory, by CTranslate2: a sound in, its words out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fishjam_agents.audio.log_mel import SAMPLE_RATE, whisper_log_mel
from fishjam_agents.audio.samples import Samples
from fishjam_agents_local.memory import require_memory
from fishjam_agents_local.whisper.files import SETTING, WEIGHTS, WhisperFiles, damaged

ENGINE = "ctranslate2>=4.8,<5"
SHORT = 12.5
"""Seconds of sound that are heard with 15 s of padding in all. The encoder works as long on its padding as on
speech, and repeats itself where less than 2 s of it are behind the words."""
LONGEST = 28.0
"""Seconds of sound that are heard with 30 s of padding: all that Whisper hears at once."""
_PADDED = 15
_PADDED_LONG = 30
_TOKENS_PER_SECOND = 12
_TOKENS = 16
"""Bound of what is understood: beside so many a second of sound. Speech has about four a second."""
_MOST_TOKENS = 224
_NO_SPEECH = 0.6
_UNSURE = -1.0
_REPETITIVE = 2.4
"""Whisper's own thresholds (openai/whisper, `transcribe`): probability that nobody speaks, mean
log-probability of the tokens, and how much shorter a text may be compressed that does not repeat itself."""
_REPEATS = 4
_BESIDE = 50e6
"""Bytes that hearing takes beside the weights of the smallest model."""


class WhisperModel:
    """A Whisper that is loaded, for one thread at a time.

    Args:
        files: Its files.
        threads: Threads that work at it.

    Raises:
        ConfigError: It cannot be loaded.
        ImportError: The engine is not installed.
    """

    def __init__(self, files: WhisperFiles, threads: int = 1) -> None:
        import ctranslate2

        weights = files.model.path / WEIGHTS
        require_memory(str(weights), weights.stat().st_size + _BESIDE, setting=SETTING)
        self._files = files
        self._view = ctranslate2.StorageView.from_array
        try:
            self._model: Any = ctranslate2.models.Whisper(
                *(str(files.model.path), "cpu"), compute_type="int8", inter_threads=1, intra_threads=threads
            )
        except Exception as error:
            # CTranslate2 has one class for all failures, and each says: not this file.
            raise damaged(weights, error) from error
        try:
            # The first run allocates, and shows whether the answer is one.
            self.words(np.zeros(SAMPLE_RATE, np.int16), "en")
        except Exception as error:
            raise damaged(weights, error) from error

    def words(self, sound: Samples, language: str | None = None) -> str:
        """The words of a sound; "" where nobody speaks.

        Args:
            sound: int16 mono at 16 kHz, shape (n,), of at most `LONGEST`.
            language: Of the speaker; None finds it out.
        """
        seconds = len(sound) / SAMPLE_RATE
        padded = _PADDED if seconds <= SHORT else _PADDED_LONG
        features = self._view(whisper_log_mel(sound, padded, self._model.n_mels)[np.newaxis])
        tokens = min(_MOST_TOKENS, round(_TOKENS_PER_SECOND * seconds) + _TOKENS)
        heard = self._model.encode(features)
        # CTranslate2 halves this bound: Whisper's context is half for what was said before.
        (answer,) = self._model.generate(
            heard,
            [self._prompt(heard, language)],
            beam_size=1,
            max_length=2 * tokens,
            return_scores=True,
            return_no_speech_prob=True,
        )
        text = decoded(answer.sequences[0])
        repeats = is_repetitive(text)
        if answer.no_speech_prob > _NO_SPEECH and (answer.scores[0] < _UNSURE or repeats):
            return ""
        return (without_repeats(text) if repeats else text).strip()

    def _prompt(self, heard: Any, language: str | None) -> list[str]:
        if self._files.english_only:
            return ["<|startoftranscript|>", "<|notimestamps|>"]
        spoken = self._model.detect_language(heard)[0][0][0] if language is None else f"<|{language}|>"
        return ["<|startoftranscript|>", spoken, "<|transcribe|>", "<|notimestamps|>"]


def is_repetitive(text: str) -> bool:
    """Return whether a text goes in circles, as Whisper does on sounds that are no speech."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain)) > _REPETITIVE


def without_repeats(text: str) -> str:
    """A text in which what is said again and again is said once."""
    words = text.split(" ")
    at = 0
    while at < len(words):
        for length in range(1, (len(words) - at) // _REPEATS + 1):
            unit = [_plain(word) for word in words[at : at + length]]
            end = at + length
            while [_plain(word) for word in words[end : end + length]] == unit:
                end += length
            if end - at >= _REPEATS * length:
                del words[at + length : end]
                break
        at += 1
    return " ".join(words)


def _plain(word: str) -> str:
    return word.strip(".,!?;:-").lower()


def decoded(tokens: Sequence[str]) -> str:
    """The text of tokens, each of which is some bytes, written as letters (GPT-2's byte-level vocabulary)."""
    letters = "".join(token for token in tokens if not (token.startswith("<|") and token.endswith("|>")))
    return bytes(_BYTES[letter] for letter in letters if letter in _BYTES).decode(errors="replace")


def _letters() -> dict[str, int]:
    """Bytes that print stand for themselves, the others for letters from U+0100 on, in their order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + number): byte for number, byte in enumerate(others)
    }


_BYTES = _letters()
