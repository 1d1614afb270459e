"""The emulated service's own turn detection: loud or not, which is enough for clean test speech."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from .messages import INPUT_RATE

_LOUD = 500.0
"""RMS of speech, of 32768."""


class ServerVad:
    """Finds turns in the stream.

    Args:
        silence: Seconds of quiet that end a turn (`silence_duration_ms`).
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._quiet = 0.0
        self._speaking = False

    def feed(self, samples: npt.NDArray[np.int16]) -> Literal["start", "stop"] | None:
        """Take int16 mono at 16 kHz, shape (n,)."""
        if not len(samples):
            return None
        rms = float(np.sqrt(np.mean(samples.astype(np.float32) ** 2)))
        if rms >= _LOUD:
            self._quiet = 0.0
            if not self._speaking:
                self._speaking = True
                return "start"
            return None
        self._quiet += len(samples) / INPUT_RATE
        if self._speaking and self._quiet >= self._silence:
            return "stop" if self.flush() else None
        return None

    def flush(self) -> bool:
        """The stream ends; whether that ends a turn."""
        speaking, self._speaking, self._quiet = self._speaking, False, 0.0
        return speaking
