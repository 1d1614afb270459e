"""Loudness of speech in frames of 20 ms."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import numpy as np

from fishjam_agents.audio.samples import FULL_SCALE, Samples

_SHARE = 90.0
"""Percentile of the frames that is taken: vowels, and neither the pauses nor the one loudest frame."""


def loudness(frames: Sequence[Samples]) -> float:
    """Level of the loud parts of speech, dBFS; -100 at the least.

    Args:
        frames: int16 mono, each of shape (n,).
    """
    powers = [float(np.mean(np.square(frame, dtype=np.float64))) for frame in frames if len(frame)]
    if not powers:
        return -100.0
    loud = float(np.percentile(powers, _SHARE)) / FULL_SCALE**2
    return 10 * log10(max(loud, 1e-10))
