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


def analysis_window(size: int) -> npt.NDArray[np.float32]:
    """A Hann window of `size` samples that makes of int16 samples powers per bin, as shares of full scale."""
    # Samples stay integers: they are divided here, where it is cheap.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    # 3/8 of its length is the energy of the window; 2 counts the negative frequencies.
    return (hann * sqrt(2 / (size * (0.375 * size))) / FULL_SCALE).astype(np.float32)


_PART_STARTS = [2 * start for start in BAND_STARTS]


def band_powers(samples: Samples, window: npt.NDArray[np.float32]) -> list[float]:
    """Power in each band, shares of full scale.

    Args:
        samples: int16 mono, as many as the window has.
        window: `analysis_window` for their rate.
    """
    spectrum = np.fft.rfft(samples * window)
    # Real and imaginary parts side by side: one square and one sum are enough.
    parts = np.square(spectrum.view(spectrum.real.dtype)[: 2 * BINS])
    powers: list[float] = np.add.reduceat(parts, _PART_STARTS).tolist()
    return powers


def voice_level(bands: Sequence[float]) -> float:
    """Level of the voice band of a frame, dBFS."""
    return 10 * log10(bands[1] + bands[2] + bands[3] + SILENCE_POWER)
