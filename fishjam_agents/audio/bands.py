"""The five bands in which voice detection and the echo guard compare sounds."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10, sqrt

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import FULL_SCALE, Samples

BAND_STARTS = (3, 8, 16, 32, 64)
"""Bins of 31.25 Hz: 94-250, 250-500, 500-1000, 1000-2000, 2000-4000 Hz. The three in the middle are the voice
band."""
BINS = 128
"""End of the last band."""
WINDOW_SECONDS = 0.032
"""Length of the Fourier transform; its inverse is the width of a bin."""
SILENCE_POWER = 1e-10
"""-100 dBFS, so that digital silence has a logarithm."""


PART_STARTS = 2 * np.array(BAND_STARTS)
"""First part of each band where real and imaginary parts stand side by side."""

_Floats = npt.NDArray[np.float32]


def analysis_window(size: int) -> _Floats:
    """A Hann window of `size` samples for `transform`.

    It makes of int16 samples a spectrum whose squares are powers per bin, as shares of full scale.
    """
    # Samples stay integers: they are divided here, where it is cheap.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    # 3/8 of its length is the energy of the window; 2 counts the negative frequencies.
    return (size * hann * sqrt(2 / (size * (0.375 * size))) / FULL_SCALE).astype(np.float32)


def make_spectra(*shape: int) -> tuple[npt.NDArray[np.complex64], _Floats]:
    """Arrays for the spectra of windowed sounds.

    Args:
        shape: That of the sounds; the last is the length of each.

    Returns:
        The array that `transform` fills, and the same as real and imaginary parts of the bins up to `BINS`.
    """
    spectra = np.empty((*shape[:-1], shape[-1] // 2 + 1), np.complex64)
    return spectra, spectra.view(np.float32)[..., : 2 * BINS]


_TRANSFORMS_INTO = np.lib.NumpyVersion(np.__version__) >= "2.0.0"


def transform(windowed: _Floats, spectra: npt.NDArray[np.complex64]) -> None:
    """Transform windowed sounds (Fourier), and divide by their length.

    Args:
        windowed: Sounds, each in a row, times `analysis_window`.
        spectra: What to fill (`make_spectra`).
    """
    # Told to divide, numpy 2 computes in single precision, else in double: five times the price of many rows.
    if _TRANSFORMS_INTO:
        np.fft.rfft(windowed, norm="forward", out=spectra)  # type: ignore[arg-type]
    else:
        spectra[...] = np.fft.rfft(windowed, norm="forward")


def band_powers(samples: Samples | _Floats, window: _Floats) -> list[float]:
    """Power in each band, shares of full scale.

    Args:
        samples: As int16 has them, mono, as many as the window has.
        window: `analysis_window` for their rate.
    """
    spectrum, parts = make_spectra(len(window))
    transform(samples * window, spectrum)
    # Real and imaginary parts side by side: one square and one sum are enough.
    powers: list[float] = np.add.reduceat(np.square(parts), PART_STARTS).tolist()
    return powers


def voice_level(bands: Sequence[float]) -> float:
    """Level of the voice band of a frame, dBFS."""
    return 10 * log10(bands[1] + bands[2] + bands[3] + SILENCE_POWER)
