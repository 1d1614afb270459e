"""Utterances that are told apart by their samples, so that what was lost or came twice can be counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.wav import Clip
from fishjam_agents.testing import speech

RATE = 16000
_PIECE = RATE // 4
_ALIKE = 0.9
"""Correlation from which a quarter of a second is the same: two of these utterances have 0.8 at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something a caller says."""

    name: str
    samples: Samples

    @property
    def clip(self) -> Clip:
        return Clip(self.samples.reshape(-1, 1), RATE)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE

    def counted_in(self, heard: Samples) -> tuple[float, int]:
        """Return which share of it is in `heard`, and how often the piece that is there most often."""
        # Where exactly it begins and ends is a matter of voice detection.
        whole = range(_PIECE, len(self.samples) - 2 * _PIECE + 1, _PIECE)
        counts = [_times(self.samples[at : at + _PIECE], heard) for at in whole]
        return sum(count > 0 for count in counts) / len(counts), max(counts)


@lru_cache
def utterance(name: str, seed: int, seconds: float = 2.0) -> Utterance:
    return Utterance(name, speech(seconds, seed=seed, pitch=100.0 + 11.0 * (seed % 9)))


def joined(pieces: Iterable[Samples], rate: int = RATE) -> Samples:
    every = [np.asarray(piece, np.int16) for piece in pieces]
    sound = np.concatenate(every) if every else np.zeros(0, np.int16)
    return sound if rate == RATE else resample(sound, rate, RATE)


def _times(piece: Samples, heard: Samples) -> int:
    if len(heard) < len(piece):
        return 0
    small, big = piece.astype(np.float64), heard.astype(np.float64)
    size = 1 << (len(big) + len(small)).bit_length()
    spectrum = np.fft.rfft(big, size) * np.conj(np.fft.rfft(small, size))
    products = np.fft.irfft(spectrum, size)[: len(big) - len(small) + 1]
    energy = np.concatenate([[0.0], np.cumsum(big**2)])
    power = np.sqrt(np.maximum(energy[len(small) :] - energy[: -len(small)], 1.0) * np.sum(small**2))
    places = np.flatnonzero(products > _ALIKE * power)
    return 0 if not len(places) else 1 + int(np.sum(np.diff(places) > len(piece) // 2))
