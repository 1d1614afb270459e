"""Levels of the bot's voice for the echo guard: each band's, every 20 ms of the last second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import (
    BAND_STARTS,
    PART_STARTS,
    SILENCE_POWER,
    WINDOW_SECONDS,
    analysis_window,
    band_powers,
    make_spectra,
    transform,
)
from fishjam_agents.audio.compiled import native
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples

if TYPE_CHECKING:
    from fishjam_agents.audio._native import LevelMeter as CompiledMeter

LAGS = 26
"""Delays that are searched for an echo, in frames: 0 to 500 ms."""
VOICE = len(BAND_STARTS)
"""Column of a window that holds the voice band."""

_TOGETHER = 3
"""Frames that are looked at together. No echo comes back within 40 ms: the room clock and the caller's jitter
buffer alone take longer."""
_KEPT = 64
"""Frames that are remembered: a packet may be late by what exceeds `LAGS`."""
_FORGOTTEN = 5.0
"""Seconds; far more than a playout sends ahead and an echo comes late."""
_SILENCE = -100.0
_LOUD = -55.0
"""Level of the voice band, dBFS, below which nothing is said that could come back."""

_Floats = npt.NDArray[np.float64]


class _Chunk:
    """Sound that was sent, and its levels once somebody asked for them."""

    __slots__ = ("end", "row", "samples", "start")

    def __init__(self, start: float, end: float, samples: Samples) -> None:
        self.start = start
        self.end = end
        self.samples = samples
        self.row: _Floats | None = None


class LevelMeter:
    """Measures the levels of a sound, chunk by chunk.

    It is the reference: what runs is its compiled twin (`make_meter`), where that was built.

    Args:
        size: Samples that are transformed: the last ones of a chunk, and of those before it if it is short.
    """

    def __init__(self, size: int) -> None:
        self._window = analysis_window(size)
        self._recent: Samples = np.zeros(size, np.int16)

    def powers(self, samples: Samples) -> list[float]:
        """Return the power of `size` samples in each band, a share of full scale; they are not taken."""
        return band_powers(samples, self._window)

    def skip(self, samples: Samples) -> None:
        """Take sound whose levels nobody asks for: those of the next chunk reach back into it."""
        self._recent = np.concatenate((self._recent, samples))[-len(self._window) :]

    def measure(self, chunks: Sequence[Samples], rows: _Floats) -> None:
        """Take chunks, and measure the levels at the end of each.

        Args:
            chunks: int16 mono, each of any length.
            rows: What to fill, shape (n, 6): dBFS of each band and of the voice band.
        """
        size = len(self._window)
        sound = np.concatenate((self._recent, *chunks))
        self._recent = sound[-size:]
        frames = np.empty((len(chunks), size), np.float32)
        end = size
        for frame, chunk in zip(frames, chunks, strict=True):
            end += len(chunk)
            np.multiply(sound[end - size : end], self._window, out=frame)
        spectra, parts = make_spectra(len(chunks), size)
        transform(frames, spectra)
        # Real and imaginary parts side by side: one square and one sum are enough.
        rows[:, :VOICE] = np.add.reduceat(np.square(parts), PART_STARTS, axis=1)
        rows[:, VOICE] = rows[:, 1] + rows[:, 2] + rows[:, 3]
        np.log10(np.maximum(rows, SILENCE_POWER), out=rows)
        rows *= 10


def make_meter(size: int) -> LevelMeter | CompiledMeter:
    """Make a meter: the compiled one, a tenth of the price, where there is one for this size.

    Both give the same levels but for the last digits of single precision, in which numpy transforms.
    """
    if native is not None:
        try:
            return native.LevelMeter(size)
        except ValueError:
            # It transforms powers of two and three times those: not what 11 or 44 kHz need.
            pass
    return LevelMeter(size)


class EchoReference:
    """Levels of one bot's voice over time. Pure: the times are given, seconds on any one clock.

    What is sent ahead of its time is analysed together when the first of it plays, which costs a third of
    doing it one by one; nothing is analysed that no microphone asks for.

    Args:
        sample_rate: Hz of the bot's track.
        origin: What the clock of `sent` shows at zero of the clock of `window`.
    """

    def __init__(self, sample_rate: int, origin: float = 0.0) -> None:
        self._rate = sample_rate
        self._origin = origin
        self._meter = make_meter(round(WINDOW_SECONDS * sample_rate))
        self._chunks: deque[_Chunk] = deque()
        self._sounds: deque[_Chunk] = deque(maxlen=round(_FORGOTTEN / FRAME_SECONDS))
        # Every row is kept twice, so that any window is one slice.
        self._rows: _Floats = np.full((2 * _KEPT, VOICE + 1), _SILENCE)
        self._head = 0
        self._loud_until = -1

    def sent(self, samples: Samples, end: float) -> None:
        """Note a chunk.

        Args:
            samples: int16 mono, shape (n,), at the track's rate. Not to be changed afterwards.
            end: When its last sample plays, by the estimate of the playout.
        """
        if not len(samples):
            return
        end -= self._origin
        # A backend may have taken one channel out of several.
        samples = np.require(samples, np.int16, ("C", "A"))
        chunk = _Chunk(end - len(samples) / self._rate, end, samples)
        self._sounds.append(chunk)
        chunks = self._chunks
        chunks.append(chunk)
        # Where no microphone asks, nothing else lets go of what has played.
        while chunks[0].end < end - _FORGOTTEN:
            chunks.popleft()

    def cut(self, end: float) -> None:
        """The track was interrupted: what would begin at `end` or later never plays."""
        end -= self._origin
        for chunks in (self._chunks, self._sounds):
            while chunks and chunks[-1].start >= end - 1e-6:
                chunks.pop()

    @property
    def sample_rate(self) -> int:
        """Hz of the bot's track."""
        return self._rate

    @property
    def until(self) -> float:
        """Time at which the last sound that was sent has played; minus infinity before the first."""
        return self._sounds[-1].end if self._sounds else -inf

    def sound(self, at: float, seconds: float) -> Samples:
        """Audio played in the `seconds` before `at`: int16 mono at the track's rate, zeros for nothing."""
        size = round(seconds * self._rate)
        sound: Samples = np.zeros(size, np.int16)
        for chunk in reversed(self._sounds):
            begin = size - round((at - chunk.start) * self._rate)
            if begin >= size:
                continue
            if begin + len(chunk.samples) <= 0:
                break
            piece = chunk.samples[max(-begin, 0) : size - begin]
            begin = max(begin, 0)
            sound[begin : begin + len(piece)] = piece
        return sound

    def window(self, at: float) -> _Floats | None:
        """Return the levels of the audio that has played up to `at`.

        Returns:
            dBFS, shape (26, 6), oldest first, the last row for the 20 ms up to `at`; a column for each band
            and one for the voice band. The last two rows may still be silent. None while nothing has been
            said for 0.5 s. Valid until the next call.
        """
        tick = round(at / FRAME_SECONDS)
        if not self._chunks and tick > self._loud_until:
            return None
        if tick >= self._head + _TOGETHER:
            self._advance(tick)
        if tick > self._loud_until or tick < self._head + _TOGETHER - _KEPT + LAGS:
            return None
        last = tick % _KEPT + _KEPT
        return self._rows[last - LAGS + 1 : last + 1]

    def _advance(self, tick: int) -> None:
        for number in range(max(self._head + 1, tick - _KEPT + 1), tick + 1):
            row = self._playing((number - 0.5) * FRAME_SECONDS)
            if row is None:
                self._rows[number % _KEPT :: _KEPT] = _SILENCE
                continue
            self._rows[number % _KEPT :: _KEPT] = row
            if row[VOICE] > _LOUD:
                self._loud_until = number + LAGS - 1
        for number in range(tick + 1, tick + _TOGETHER):
            self._rows[number % _KEPT :: _KEPT] = _SILENCE
        self._head = tick

    def _playing(self, at: float) -> _Floats | None:
        chunks = self._chunks
        while chunks and chunks[0].end <= at:
            self._pass(chunks.popleft())
        if not chunks or chunks[0].start > at:
            return None
        if chunks[0].row is None:
            self._analyse()
        return chunks[0].row

    def _pass(self, chunk: _Chunk) -> None:
        """A chunk that nobody asked for has played: the analysis of the next one reaches back into it."""
        if chunk.row is None:
            self._meter.skip(chunk.samples)

    def _analyse(self) -> None:
        fresh = [chunk for chunk in self._chunks if chunk.row is None]
        rows = np.empty((len(fresh), VOICE + 1))
        self._meter.measure([chunk.samples for chunk in fresh], rows)
        for chunk, row in zip(fresh, rows, strict=True):
            chunk.row = row
