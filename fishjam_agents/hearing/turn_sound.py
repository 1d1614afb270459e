"""The last seconds of a microphone in one piece, for a policy that hears how a turn sounds."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import SAMPLE_RATE

SECONDS = 8.0
"""Seconds that are kept: what Smart Turn v3 looks at; of its last 4 s alone it says the same."""

MicrophoneT = TypeVar("MicrophoneT", contravariant=True)


class TurnPredictor(Protocol[MicrophoneT]):
    """Taker of the sound of turns at their pauses (`EndOfTurn.predict`)."""

    def paused(self, microphone: MicrophoneT, pause: float, sound: Samples) -> None:
        """Take a pause of 0.2 s in an open turn.

        Args:
            microphone: Whose.
            pause: Where it began, media time.
            sound: The turn up to now, its last 8 s: int16 mono at 16 kHz.
        """
        ...

    def resumed(self, microphone: MicrophoneT) -> None:
        """Take notice that the pause is over, or the turn."""
        ...


class TurnSound:
    """A ring of samples at 16 kHz, made once: adding a frame copies it and allocates nothing."""

    __slots__ = ("_at", "_count", "_kept")

    def __init__(self) -> None:
        self._kept = np.zeros(round(SECONDS * SAMPLE_RATE), np.int16)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._at = 0
        self._count = 0

    def append(self, block: Samples) -> None:
        """Keep a block of at most 8 s; the oldest samples go."""
        kept, at = self._kept, self._at
        end = at + len(block)
        size = len(kept)
        if end <= size:
            kept[at:end] = block
        else:
            kept[at:] = block[: size - at]
            kept[: end - size] = block[size - at :]
        self._at = end % size
        self._count += len(block)

    def last(self, seconds: float) -> Samples:
        """Copy the last samples: int16 mono at 16 kHz, shape (n,), no more than there are."""
        size = len(self._kept)
        wanted = max(0, min(round(seconds * SAMPLE_RATE), self._count, size))
        start = self._at - wanted
        if start >= 0:
            return self._kept[start : self._at].copy()
        return np.concatenate((self._kept[start:], self._kept[: self._at]))
