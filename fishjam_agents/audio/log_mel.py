"""Log-mel spectrograms as Whisper's front end computes them: of a sound, and of its last 8 s.

Whisper (arXiv:2212.04356, 2.2) takes 80 mel channels of 25 ms windows every 10 ms, its third version 128.
Everything is float64 inside: the network of Smart Turn rounds to 8 bits, and flips some of its roundings at
the slightest difference.
"""

from __future__ import annotations

from functools import cache
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
"""Frames that are multiplied at once at most: few enough for OpenBLAS to wake no second thread for them."""
_FLOOR = 1e-10
_RANGE = 8.0
"""Powers of ten below the loudest value at which a spectrogram ends."""

Features: TypeAlias = npt.NDArray[np.float32]
"""Shape (80, 800), or (channels, frames): mel channels, frames."""
_Floats: TypeAlias = npt.NDArray[np.float64]


def log_mel(sound: Samples) -> Features:
    """Compute the spectrogram of the last 8 s, at zero mean and unit variance, as Smart Turn has it.

    Args:
        sound: int16 mono at 16 kHz, shape (n,); of less than 8 s, zeros stand in front.
    """
    padded = np.zeros(SAMPLES, np.float32)
    last = sound[-SAMPLES:]
    padded[SAMPLES - len(last) :] = last
    padded /= FULL_SCALE
    wave = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    reflected = np.pad(wave.astype(np.float64), _WINDOW // 2, mode="reflect")
    return _shown(_power(reflected, FRAMES, _FILTERS))


def whisper_log_mel(sound: Samples, seconds: int, channels: int = CHANNELS) -> Features:
    """Compute the spectrogram of a sound and of the zeros behind it, as Whisper has it.

    Args:
        sound: int16 mono at 16 kHz, shape (n,); what is beyond `seconds` is left out.
        seconds: How long it is with the zeros.
        channels: Mel channels.

    Returns:
        Shape (channels, 100 * seconds).
    """
    frames = seconds * SAMPLE_RATE // _STEP
    wave = sound[: seconds * SAMPLE_RATE] / np.float64(FULL_SCALE)
    # Windows that have some of the sound; the others are all zeros.
    sounding = min(frames, -(-(len(wave) + _WINDOW) // (_STEP * _BLOCK)) * _BLOCK)
    end = min(seconds * SAMPLE_RATE, (sounding - 1) * _STEP + _WINDOW // 2)
    missing = max(0, end - len(wave))
    reflected = np.pad(np.pad(wave, (0, missing)), _WINDOW // 2, mode="reflect")
    mel = np.zeros((frames, channels))
    mel[:sounding] = _power(reflected, sounding, _filters(channels))
    return _shown(mel)


def _power(wave: _Floats, frames: int, filters: _Floats) -> _Floats:
    """Energy in the mel channels: shape (frames, channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[: frames * _STEP : _STEP]
    power = np.abs(np.fft.rfft(windows * _HANN, axis=-1)) ** 2
    block = next(size for size in range(_BLOCK, 0, -1) if frames % size == 0)
    return (power.reshape(-1, block, _BINS) @ filters).reshape(frames, -1)


def _shown(mel: _Floats) -> Features:
    logarithm = np.log10(np.maximum(mel, _FLOOR))
    shown = (np.maximum(logarithm, logarithm.max() - _RANGE) + 4.0) / 4.0
    return np.ascontiguousarray(shown.T, np.float32)


def _hertz(mel: _Floats) -> _Floats:
    """Slaney's scale (Auditory Toolbox): 3 mel for each 200 Hz up to 1 kHz, logarithmic above."""
    above = np.maximum(mel - 15.0, 0.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(above * np.log(6.4) / 27.0))


@cache
def _filters(channels: int) -> _Floats:
    """Triangles of equal area, evenly spaced in mel from 0 to 8 kHz: shape (201, channels)."""
    highest = 15.0 + 27.0 * np.log(SAMPLE_RATE / 2 / 1000.0) / np.log(6.4)
    edges = _hertz(np.linspace(0.0, highest, channels + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _BINS)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)


_HANN = np.hanning(_WINDOW + 1)[:-1]
_FILTERS = _filters(CHANNELS)
