"""Pitch of a sound of 40 ms: how periodic it is between 70 and 400 Hz, of one sound and of many at once.

Samples are whole numbers, and so are all products and sums here as far as the autocorrelation goes; none
exceeds 2**53. Rows of many sounds therefore have exactly the pitch that each has alone, however the sums are
split.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.correlation import RowCorrelation
from fishjam_agents.audio.samples import FULL_SCALE

SAMPLES = 640
"""Samples in 40 ms at 16 kHz."""

_LAGS = slice(10, 58)
"""Pitch periods at 4 kHz: 70 to 400 Hz."""
_CORRELATED = 102
_FOLD = 4
_FOLDED = SAMPLES // _FOLD
_LEAST_ENERGIES = 1e-9 * FULL_SCALE**4
"""Added to the product of two energies, so that digital silence has no pitch."""

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]


class Pitch:
    """Buffers in which one sound is looked at; they hold nothing between two."""

    def __init__(self) -> None:
        self._ones: _Floats = np.ones(_FOLD, np.float32)
        self._folded: _Floats = np.empty(_FOLDED, np.float32)
        self._folded_next = self._folded[1:]
        self._folded_here = self._folded[:-1]
        self._slopes: _Floats = np.empty(_FOLDED - 1, np.float32)
        self._sloped: _Doubles = np.empty(_FOLDED - 1)
        self._sloped_past = self._sloped[: -_LAGS.start]
        self._sloped_recent = self._sloped[-_CORRELATED:]
        self._squares: _Doubles = np.empty(_FOLDED - 1)
        self._energy: _Doubles = np.zeros(_FOLDED)
        self._energy_after = self._energy[1:]
        self._energy_ends = self._energy[_CORRELATED : -_LAGS.start]
        self._energy_starts = self._energy[: -_CORRELATED - _LAGS.start]
        self._shifted: _Doubles = np.empty(len(self._energy_ends))

    def strength(self, fours: _Floats) -> float:
        """Return how periodic a sound is, 0 to 1: highest normalised autocorrelation at 70-400 Hz.

        Args:
            fours: int16 samples at 16 kHz as float32, shape (160, 4).
        """
        np.dot(fours, self._ones, out=self._folded)
        # The slope takes out 1/f noise, which looks periodic to a short window.
        np.subtract(self._folded_next, self._folded_here, out=self._slopes)
        sloped, energy = self._sloped, self._energy
        sloped[:] = self._slopes
        products = np.correlate(self._sloped_past, self._sloped_recent, "valid")
        np.multiply(sloped, sloped, out=self._squares)
        np.add.accumulate(self._squares, out=self._energy_after)
        of_recent = float(energy[-1] - energy[-1 - _CORRELATED])
        of_shifted = np.subtract(self._energy_ends, self._energy_starts, out=self._shifted)
        of_shifted *= of_recent
        of_shifted += _LEAST_ENERGIES
        np.sqrt(of_shifted, out=of_shifted)
        products /= of_shifted
        return max(float(products[products.argmax()]), 0.0)


class RowPitch:
    """The same of up to `rows` sounds at once."""

    def __init__(self, rows: int) -> None:
        self._ones: _Floats = np.ones(_FOLD, np.float32)
        self._folded: _Floats = np.empty((rows, _FOLDED), np.float32)
        self._slopes: _Floats = np.empty((rows, _FOLDED - 1), np.float32)
        self._correlation = RowCorrelation(rows, _CORRELATED, len(range(_LAGS.start, _LAGS.stop)))
        self._sloped: _Doubles = np.empty((rows, _FOLDED - 1))
        self._energy: _Doubles = np.zeros((rows, _FOLDED))

    def strengths(self, sounds: _Floats) -> list[float]:
        """Return how periodic each sound is.

        Args:
            sounds: int16 samples at 16 kHz as float32, shape (n, 640).
        """
        count = len(sounds)
        folded, slopes, sloped = self._folded[:count], self._slopes[:count], self._sloped[:count]
        energy = self._energy[:count]
        np.dot(sounds.reshape(-1, _FOLD), self._ones, out=folded.reshape(-1))
        np.subtract(folded[:, 1:], folded[:, :-1], out=slopes)
        sloped[:] = slopes
        products = self._correlation.products(sloped[:, : -_LAGS.start], sloped[:, -_CORRELATED:])
        np.multiply(sloped, sloped, out=sloped)
        np.add.accumulate(sloped, axis=1, out=energy[:, 1:])
        of_recent = energy[:, -1:] - energy[:, -1 - _CORRELATED : -_CORRELATED]
        of_shifted = energy[:, _CORRELATED : -_LAGS.start] - energy[:, : -_CORRELATED - _LAGS.start]
        of_shifted *= of_recent
        of_shifted += _LEAST_ENERGIES
        np.sqrt(of_shifted, out=of_shifted)
        products /= of_shifted
        strengths: list[float] = np.maximum.reduce(products, axis=1, initial=0.0).tolist()
        return strengths
