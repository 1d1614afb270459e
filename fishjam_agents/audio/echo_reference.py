"""What the bot says, as the echo guard needs it: how loud each band plays, every 20 ms of the last second."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import BAND_STARTS, BINS, SILENCE_POWER, WINDOW_SECONDS, analysis_window
from fishjam_agents.audio.samples import Samples

LAGS = 26
"""Delays that are searched for an echo, in frames: 0 to 500 ms."""
VOICE = len(BAND_STARTS)
"""Column of a window that holds the voice band."""

_FRAME = 0.02
_KEPT = 64
"""Frames that are remembered: a packet may be late by what exceeds `LAGS`."""
_SILENCE = -100.0
_LOUD = -55.0
"""Level of the voice band, dBFS, below which nothing is said that could come back."""

_Floats = npt.NDArray[np.float64]


class EchoReference:
    """Levels of one bot's voice over time. Pure: the times are given, seconds on any one clock.

    It costs one Fourier transform for each chunk that is sent, and nothing while none is.

    Args:
        sample_rate: Hz of the bot's track.
        origin: What the clock of `sent` shows at zero of the clock of `window`.
    """

    def __init__(self, sample_rate: int, origin: float = 0.0) -> None:
        size = round(WINDOW_SECONDS * sample_rate)
        self._rate = sample_rate
        self._origin = origin
        self._window = analysis_window(size)
        self._recent = np.zeros(size, np.float32)
        self._chunks: deque[tuple[float, float, _Floats]] = deque()
        # Every row is kept twice, so that any window is one slice.
        self._rows: _Floats = np.full((2 * _KEPT, VOICE + 1), _SILENCE)
        self._head = 0
        self._loud_until = -1

    def sent(self, samples: Samples, end: float) -> None:
        """Note a chunk.

        Args:
            samples: int16 mono, shape (n,), at the track's rate.
            end: When its last sample plays, by the estimate of the playout.
        """
        size = len(self._recent)
        count = min(len(samples), size)
        if not count:
            return
        self._recent[: size - count] = self._recent[count:]
        self._recent[size - count :] = samples[-count:]
        spectrum = np.fft.rfft(self._recent * self._window)[:BINS]
        bands = np.add.reduceat(np.square(spectrum.real) + np.square(spectrum.imag), BAND_STARTS)
        row = np.append(bands, bands[1:4].sum())
        end -= self._origin
        start = end - len(samples) / self._rate
        self._chunks.append((start, end, 10 * np.log10(np.maximum(row, SILENCE_POWER))))

    def cut(self, end: float) -> None:
        """The track was interrupted: what would begin at `end` or later never plays."""
        end -= self._origin
        while self._chunks and self._chunks[-1][0] >= end - 1e-6:
            self._chunks.pop()

    def window(self, at: float) -> _Floats | None:
        """What has played up to `at`.

        Returns:
            dBFS, shape (26, 6), oldest first, the last row for the 20 ms up to `at`; a column for each band
            and one for the voice band. None while nothing has been said for 0.5 s. Valid until the next call.
        """
        tick = round(at / _FRAME)
        if not self._chunks and tick > self._loud_until:
            return None
        if tick > self._head:
            self._advance(tick)
        if tick > self._loud_until or tick <= self._head - _KEPT + LAGS:
            return None
        last = tick % _KEPT + _KEPT
        return self._rows[last - LAGS + 1 : last + 1]

    def _advance(self, tick: int) -> None:
        for number in range(max(self._head + 1, tick - _KEPT + 1), tick + 1):
            row = self._playing((number - 0.5) * _FRAME)
            if row is None:
                self._rows[number % _KEPT :: _KEPT] = _SILENCE
                continue
            self._rows[number % _KEPT :: _KEPT] = row
            if row[VOICE] > _LOUD:
                self._loud_until = number + LAGS - 1
        self._head = tick

    def _playing(self, at: float) -> _Floats | None:
        chunks = self._chunks
        while chunks and chunks[0][1] <= at:
            chunks.popleft()
        return chunks[0][2] if chunks and chunks[0][0] <= at else None
