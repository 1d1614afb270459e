"""Log-mel spectrogram of the last 8 s of a sound, as Whisper's front end computes it.

Whisper (arXiv:2212.04356, 2.2) takes 80 mel channels of 25 ms windows every 10 ms. Everything is float64
inside: the network behind it rounds to 8 bits, and flips some of its roundings at the slightest difference.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import FULL_SCALE, Samples

SAMPLE_RATE = 16000
SECONDS = 8
SAMPLES = SECONDS * SAMPLE_RATE
CHANNELS = 80
FRAMES = 800

_WINDOW = 400
_STEP = 160
_BINS = _WINDOW // 2 + 1
_BLOCK = 16
"""Frames that are multiplied at once: few enough for OpenBLAS to wake no second thread for them."""
_FLOOR = 1e-10
_RANGE = 8.0
"""Powers of ten below the loudest value at which a spectrogram ends."""

Features: TypeAlias = npt.NDArray[np.float32]
"""Shape (80, 800): mel channels, frames."""
_Floats: TypeAlias = npt.NDArray[np.float64]


def log_mel(sound: Samples) -> Features:
    """Compute the spectrogram of the last 8 s, at zero mean and unit variance.

    Args:
        sound: int16 mono at 16 kHz, shape (n,); of less than 8 s, zeros stand in front.
    """
    padded = np.zeros(SAMPLES, np.float32)
    last = sound[-SAMPLES:]
    padded[SAMPLES - len(last) :] = last
    padded /= FULL_SCALE
    wave = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    reflected = np.pad(wave.astype(np.float64), _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(reflected, _WINDOW)[: FRAMES * _STEP : _STEP]
    power = np.abs(np.fft.rfft(windows * _HANN, axis=-1)) ** 2
    mel = (power.reshape(-1, _BLOCK, _BINS) @ _FILTERS).reshape(FRAMES, CHANNELS)
    logarithm = np.log10(np.maximum(mel, _FLOOR))
    shown = (np.maximum(logarithm, logarithm.max() - _RANGE) + 4.0) / 4.0
    return np.ascontiguousarray(shown.T, np.float32)


def _hertz(mel: _Floats) -> _Floats:
    """Slaney's scale (Auditory Toolbox): 3 mel for each 200 Hz up to 1 kHz, logarithmic above."""
    above = np.maximum(mel - 15.0, 0.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(above * np.log(6.4) / 27.0))


def _filters() -> _Floats:
    """Triangles of equal area, evenly spaced in mel from 0 to 8 kHz: shape (201, 80)."""
    highest = 15.0 + 27.0 * np.log(SAMPLE_RATE / 2 / 1000.0) / np.log(6.4)
    edges = _hertz(np.linspace(0.0, highest, CHANNELS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _BINS)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)


_HANN = np.hanning(_WINDOW + 1)[:-1]
_FILTERS = _filters()
