"""The five bands in which voice detection and the echo guard compare sounds."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

BAND_STARTS = (3, 8, 16, 32, 64)
"""Bins of 31.25 Hz: 94-250, 250-500, 500-1000, 1000-2000, 2000-4000 Hz. The three in the middle are the voice
band."""
BINS = 128
"""Where the last band ends."""
WINDOW_SECONDS = 0.032
"""Length of the Fourier transform; its inverse is the width of a bin."""
SILENCE_POWER = 1e-10
"""-100 dBFS, so that digital silence has a logarithm."""
FULL_SCALE = 32768
"""Audio is kept in integers of int16: what should be a share of full scale is divided where it is cheap, and
exactly, because this is a power of two."""


def analysis_window(size: int) -> npt.NDArray[np.float32]:
    """A Hann window of `size` samples that makes of int16 samples powers per bin, as shares of full scale."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    # 3/8 of its length is the energy of the window; 2 counts the negative frequencies.
    return (hann * sqrt(2 / (size * (0.375 * size))) / FULL_SCALE).astype(np.float32)
