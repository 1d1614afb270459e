"""Levels: loudness, amplification, fades."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import FULL_SCALE, Samples, saturate


def dbfs(samples: Samples) -> float:
    """RMS level of int16 samples in dB relative to full scale; -inf for digital silence or no samples."""
    if not samples.size:
        return -math.inf
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * math.log10(power / FULL_SCALE**2) if power else -math.inf


def amplify(samples: Samples, decibels: float) -> Samples:
    """The samples made louder by `decibels` (quieter if negative), int16, saturating; same shape."""
    return saturate(np.rint(samples * np.float32(10 ** (decibels / 20))))


def fade_in(samples: Samples) -> Samples:
    """The samples faded in from silence over their whole length, int16 mono, shape (n,)."""
    return saturate(np.rint(samples * _rise(len(samples))))


def fade_out(samples: Samples) -> Samples:
    """The samples faded out to silence over their whole length, int16 mono, shape (n,)."""
    return saturate(np.rint(samples * _rise(len(samples))[::-1]))


def _rise(length: int) -> npt.NDArray[np.float32]:
    """Half a raised cosine from 0 to 1: unlike a straight line it has no corner that could click."""
    phase = np.arange(length, dtype=np.float32) * np.float32(math.pi / max(length - 1, 1))
    rise: npt.NDArray[np.float32] = np.float32(0.5) - np.float32(0.5) * np.cos(phase)
    return rise
