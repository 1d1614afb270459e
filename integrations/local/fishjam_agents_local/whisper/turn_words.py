"""Words of one turn that grows: what of it is understood anew, and what stays as it was."""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from fishjam_agents.audio.log_mel import SAMPLE_RATE
from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import BackendError
from fishjam_agents_local.whisper.model import LONGEST, SHORT, WhisperModel
from fishjam_agents_local.worker import ModelCall

_QUIET = round(0.2 * SAMPLE_RATE)
_ENDING = round(0.06 * SAMPLE_RATE)
_QUIETER = 0.1
_LEAST = round(3.0 * SAMPLE_RATE)
"""Samples that a stretch has at least: Whisper understands little of less."""


class TurnWords:
    """Has the sound of a turn understood, as much of it as is there.

    The whole turn is heard anew each time, as words are understood best by what surrounds them; of a long one
    only what follows its last cut: at a pause of the speaker, or else where it is quietest.

    Args:
        call: What asks the model.
        model: The model.
        language: Of the speaker; None finds it out.
    """

    def __init__(self, call: ModelCall, model: WhisperModel, language: str | None) -> None:
        self._call = call
        self._model = model
        self._language = language
        self._settled: list[str] = []
        self._from = 0
        self._pauses: list[int] = []
        self._last: tuple[int, int, str] = (0, 0, "")

    def pause(self, at: int) -> None:
        """Take note of a pause of the speaker, after so many samples."""
        self._pauses.append(at)

    async def words(self, sound: Samples, *, urgent: bool) -> str:
        """All words of a turn.

        Args:
            sound: All of its sound: int16 mono at 16 kHz, shape (n,).
            urgent: Whether somebody waits for the answer.

        Raises:
            BackendError: The model was busy with other calls for too long, or failed.
        """
        while (cut := self._cut(sound)) is not None:
            words = await self._understood(sound, cut, urgent)
            self._settled.append(words)
            self._from = cut
        words = await self._understood(sound, len(sound), urgent)
        return " ".join(part for part in (*self._settled, words) if part)

    async def _understood(self, sound: Samples, end: int, urgent: bool) -> str:
        begin, last_end, words = self._last
        if (begin, last_end) != (self._from, end):
            begin = self._from
            words = await self._heard(sound[begin:end], urgent) if end > begin else ""
            self._last = (begin, end, words)
        return words

    async def _heard(self, stretch: Samples, urgent: bool) -> str:
        try:
            return await self._call.run(lambda _: self._model.words(stretch, self._language), urgent=urgent)
        except (RuntimeError, MemoryError, ValueError) as error:
            # What CTranslate2 raises, whatever went wrong.
            told = " ".join(str(error).split())[:200].rstrip(".")
            raise BackendError(
                f"Whisper failed ({told or type(error).__name__}): the turn is heard again", retryable=True
            ) from error

    def _cut(self, sound: Samples) -> int | None:
        """Place where the sound is to be cut; None if what is left of it is short enough."""
        left = len(sound) - self._from
        if left <= SHORT * SAMPLE_RATE:
            return None
        furthest = self._from + round(SHORT * SAMPLE_RATE)
        pauses = [at for at in self._pauses if self._from + _LEAST <= at <= min(furthest, len(sound) - 1)]
        if pauses:
            return pauses[-1]
        return self._from + quietest(sound[self._from :]) if left > LONGEST * SAMPLE_RATE else None


def quietest(sound: Samples) -> int:
    """The middle of the quietest 0.2 s in the second half of what Whisper hears at once."""
    end = min(len(sound), round((LONGEST - 2.0) * SAMPLE_RATE))
    begin = end // 2
    blocks = sound[begin : begin + (end - begin) // _QUIET * _QUIET].astype(np.float32).reshape(-1, _QUIET)
    return begin + int((blocks**2).mean(axis=1).argmin()) * _QUIET + _QUIET // 2


def is_falling_quiet(sound: Samples) -> bool:
    """Return whether the last 60 ms of a stretch of speech are far quieter than it was."""
    levels = np.abs(sound.astype(np.int32))
    return bool(levels[-_ENDING:].max(initial=0) < _QUIETER * levels.max(initial=0))


class Agreement:
    """Words in which two successive hearings of a growing turn agree: those may be told.

    (LocalAgreement: Macháček et al., "Turning Whisper into Real-Time Transcription System", 2023.)
    """

    def __init__(self) -> None:
        self._last: list[str] = []
        self._told = 0

    def add(self, text: str) -> str:
        """Take a hearing, and return the words that can be told of it: "" if they are no more than before."""
        words = text.split()
        pairs = zip(self._last, words, strict=False)
        agreed = sum(1 for _ in takewhile(lambda pair: _plain(pair[0]) == _plain(pair[1]), pairs))
        self._last = words
        if agreed <= self._told:
            return ""
        self._told = agreed
        told = " ".join(words[:agreed])
        # What follows the last of them decides which mark it bears.
        return told if agreed < len(words) else told.rstrip(".,!?;:")


def _plain(word: str) -> str:
    return word.strip(".,!?;:\"'").lower()
