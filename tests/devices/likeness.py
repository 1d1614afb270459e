"""Whether one sound is in another."""

from __future__ import annotations

import numpy as np

from fishjam_agents.audio.samples import Samples


def likeness(sound: Samples, of: Samples) -> float:
    """The highest correlation of one sound with a stretch of another."""
    a, b = sound.astype(np.float64), of.astype(np.float64)
    size = 1 << (len(a) + len(b)).bit_length()
    covariance = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[: len(b) - len(a)]
    place = int(covariance.argmax())
    stretch = b[place : place + len(a)]
    return float(covariance[place] / np.sqrt((a @ a) * (stretch @ stretch)))
