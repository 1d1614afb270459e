"""Voice activity of a track by its level, as the engine derives it (facts/fishjam-protocol.md 6.6).

The engine reads the level from a header that browsers send along; here it is that of the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..audio.samples import Samples
from .clock import TICKS_PER_SECOND
from .recorder import RECORDING_RATE

THRESHOLD_DB = -32.0
"""Level from which on a window counts as voice, RMS in dB below overload (RFC 6464); the engine's value."""

QUIET_TICKS = 15
"""Quiet windows that end speech: 0.3 s, longer than the pauses inside a word. Our choice."""

_WINDOW = RECORDING_RATE // TICKS_PER_SECOND
_MEAN_SQUARE = (32768 * 10 ** (THRESHOLD_DB / 20)) ** 2


def loud_windows(samples: Samples) -> bytes:
    """For each 20 ms of int16 mono, shape (n,), at the recording rate: 1 if it is loud enough for voice."""
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).astype(np.float32)
    loud = np.einsum("ij,ij->i", windows, windows) > _MEAN_SQUARE * _WINDOW
    flags: bytes = loud.astype(np.uint8).tobytes()
    return flags


class VoiceActivity:
    """Whether someone speaks: at once when it is loud, until it was quiet for a while.

    Args:
        changed: Called with every change.

    Attributes:
        speaking: Whether someone does.
    """

    def __init__(self, changed: Callable[[bool], None]) -> None:
        self.speaking = False
        self._changed = changed
        self._quiet = 0

    def feed(self, loud: int) -> None:
        """Take the next window. May be left out while it is quiet and nobody speaks."""
        if loud:
            self._quiet = 0
            if not self.speaking:
                self.speaking = True
                self._changed(True)
            return
        self._quiet += 1
        if self.speaking and self._quiet >= QUIET_TICKS:
            self.speaking = False
            self._changed(False)
