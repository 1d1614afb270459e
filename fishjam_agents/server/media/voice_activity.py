"""Voice activity of a track by its level, as Fishjam's engine derives it (`membrane_rtc_engine`).

The engine reads the level from a header that browsers send along; here it is that of the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...audio.formats import FRAMES_PER_SECOND
from ...audio.samples import FULL_SCALE, Samples
from .recorder import RECORDING_RATE

THRESHOLD_DB = -32.0
"""Level from which on a window counts as voice, RMS in dB below overload (RFC 6464); the engine's value."""

QUIET_TICKS = 15
"""Quiet windows that end speech: 0.3 s, longer than the pauses inside a word. Our choice."""

_WINDOW = RECORDING_RATE // FRAMES_PER_SECOND
_MEAN_SQUARE = (FULL_SCALE * 10 ** (THRESHOLD_DB / 20)) ** 2


def loud_windows(samples: Samples) -> bytes:
    """For each 20 ms of int16 mono, shape (n,), at the recording rate: 1 if it is loud enough for voice."""
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).astype(np.float32)
    loud = np.einsum("ij,ij->i", windows, windows) > _MEAN_SQUARE * _WINDOW
    flags: bytes = loud.astype(np.uint8).tobytes()
    return flags


def is_loud(samples: Samples) -> bool:
    """Return whether a window of int16 mono, shape (n,), of any sample rate is loud enough for voice."""
    if not len(samples):
        return False
    window = samples.astype(np.float32)
    return float(np.dot(window, window)) > _MEAN_SQUARE * len(samples)


class VoiceActivity:
    """Voice activity: speech from the first loud moment until it was quiet for `QUIET_TICKS`.

    Args:
        changed: Called with every change.

    Attributes:
        speaking: Whether someone does.
        loud_at: The latest loud window.
    """

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self.speaking = False
        self.loud_at = 0
        self._changed = changed

    def begin(self) -> None:
        """It is loud, and nobody spoke."""
        self.speaking = True
        self._changed(True)

    def pause(self, window: int) -> None:
        """It is quiet in `window`, and someone spoke."""
        if window - self.loud_at >= QUIET_TICKS:
            self.speaking = False
            self._changed(False)
