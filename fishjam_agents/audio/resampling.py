"""Changing the sample rate: one-shot, streaming, and which setting belongs where.

A streaming resampler holds back audio it has already been fed. With soxr 1.1.0 on 20 ms chunks of mono,
mean / maximum in ms (tests/audio/test_resampling.py measures them):

| setting | 24 -> 16 kHz, 16 -> 24, 48 -> 16 | 8 -> 16 kHz | remark |
|---|---|---|---|
| soxr `QQ` | 0.1 / 0.1 | 0.3 / 0.3 | no filter: what it cannot hold folds back at -2 dB |
| soxr `LQ` | 11 / 20 | 32 / 61 | -12.8 dB at 7 kHz |
| soxr `MQ` | 21 / 38 | 64 / 118 | flat |
| soxr `HQ` | 21 / 37 | 64 / 115 | flat |
| `LiveResampler` | 0.75 constant | 1.5 constant | flat to 6 kHz, -2.5 dB at 7 kHz, alias -63 dB at 8.8 kHz |

So whatever a person waits for goes through `LiveResampler`; files go through `resample`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from fishjam_agents.audio.samples import FULL_SCALE, Samples

Quality = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]
"""soxr's quality settings, from quick and dirty to very high."""

_HALF_LENGTH = 12
_KAISER_BETA = 6.0
_CUTOFF = 0.92
_GROUP_SECONDS = 0.002
_MAX_PHASES = 1000

_Floats = npt.NDArray[np.float32]


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample a whole recording at high quality (soxr HQ); nothing is delayed, nothing is held back.

    Args:
        samples: int16 mono, shape (n,).
        from_rate: Its sample rate, Hz.
        to_rate: The wanted sample rate, Hz.

    Returns:
        int16 mono, n * to_rate / from_rate samples; `samples` itself when the rates are equal.
    """
    if from_rate == to_rate:
        return samples
    # Through float32: soxr would dither int16 and make noise of silence.
    return _to_int16(soxr.resample(samples.astype(np.float32), from_rate, to_rate, quality="HQ"))


class StreamResampler(Protocol):
    """Interface of every streaming resampler here. Equal rates pass the samples through untouched."""

    from_rate: int
    to_rate: int

    def process(self, samples: Samples) -> Samples:
        """Take int16 mono of shape (n,), return what is ready of it as int16 mono of shape (m,)."""

    def flush(self) -> Samples:
        """The end of an utterance: return what was held back, and be ready for the next one."""

    def clear(self) -> None:
        """Forget what was held back, as after a barge-in."""


class Resampler:
    """Streaming resampler on soxr: time-aligned, but it holds back by its quality (see the module).

    Args:
        from_rate: Sample rate of the input, Hz.
        to_rate: Sample rate of the output, Hz.
        quality: soxr's quality setting.
    """

    def __init__(self, from_rate: int, to_rate: int, quality: Quality = "HQ") -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            # Not soxr's own int16: that dithers from the time of day, so that silence comes out as noise
            # and the same input never gives the same output twice.
            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=quality)

    def process(self, samples: Samples) -> Samples:
        """Take int16 mono of shape (n,), return what is ready of it as int16 mono of shape (m,)."""
        if self._stream is None:
            return samples
        return _to_int16(self._stream.resample_chunk(samples.astype(np.float32)))

    def flush(self) -> Samples:
        """The end of an utterance: return what was held back, and be ready for the next one.

        Only at the end: within an utterance a flush is heard as a click.
        """
        if self._stream is None:
            return np.empty(0, np.int16)
        rest = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        # After `last=True` soxr refuses input until it is cleared.
        self._stream.clear()
        return _to_int16(rest)

    def clear(self) -> None:
        """Forget what was held back, as after a barge-in."""
        if self._stream is not None:
            self._stream.clear()


class LiveResampler:
    """Polyphase FIR with a short, constant delay: for audio that a person waits for.

    The output is late by 12 samples of the lower rate (0.75 ms between 16 kHz and any higher rate, 1.5 ms
    from 8 kHz), and n samples in give n * to_rate / from_rate out, at once: a 20 ms frame gives a 20 ms
    frame. With Kaiser beta 6 and the edge at 0.92 of the lower Nyquist frequency the response is flat to
    6 kHz at 16 kHz, -2.5 dB at 7 kHz, and aliases are at -63 dB from 8.8 kHz, -80 dB from 9.5 kHz.

    Args:
        from_rate: Sample rate of the input, Hz.
        to_rate: Sample rate of the output, Hz.

    Raises:
        ValueError: The rates are in a ratio of numbers above 1000, such as 16001 to 16000: the table of
            filter phases would not fit into any cache.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._up, self._down = _ratio(from_rate, to_rate)
        if max(self._up, self._down) > _MAX_PHASES:
            raise ValueError(f"{from_rate} Hz to {to_rate} Hz has too many phases for a FIR: use Resampler")
        groups = max(1, round(_GROUP_SECONDS * from_rate / self._down))
        self._group_in = groups * self._down
        self._group_out = groups * self._up
        self._matrix = _phase_matrix(self._up, self._down, groups)
        self._history = self._matrix.shape[0] - self._group_in
        self._kept: _Floats = np.zeros(self._history, np.float32)
        self._given = 0

    @property
    def delay(self) -> float:
        """Delay of the output, in seconds."""
        return 0.0 if self._up == self._down else _HALF_LENGTH / min(self.from_rate, self.to_rate)

    def process(self, samples: Samples) -> Samples:
        """Take int16 mono of shape (n,), return its n * to_rate / from_rate samples as int16 mono."""
        if self._up == self._down:
            return samples
        kept = len(self._kept)
        available = kept + len(samples) - self._history
        groups = -(-available // self._group_in)
        buffer = np.zeros(self._history + groups * self._group_in, np.float32)
        buffer[:kept] = self._kept
        buffer[kept : kept + len(samples)] = samples

        step = buffer.itemsize
        windows = np.ndarray(
            (groups, len(self._matrix)), np.float32, buffer, strides=(self._group_in * step, step)
        )
        ready = available * self._up // self._down
        output = (windows @ self._matrix).reshape(-1)[self._given : ready]

        complete = available // self._group_in
        self._kept = buffer[complete * self._group_in : self._history + available]
        self._given = ready - complete * self._group_out
        return _to_int16(output)

    def flush(self) -> Samples:
        """The end of an utterance: return the last 12 samples of delay, and be ready for the next one."""
        rest = self.process(np.zeros(math.ceil(self.delay * self.from_rate), np.int16))
        self.clear()
        return rest

    def clear(self) -> None:
        """Forget what was held back, as after a barge-in."""
        self._kept = np.zeros(self._history, np.float32)
        self._given = 0


def vad_resampler(from_rate: int) -> StreamResampler:
    """From `from_rate` Hz to the 16 kHz of the voice activity detector; 16 kHz passes through.

    The FIR at every rate. soxr's QQ would do from 24 kHz, where its aliases fall into 4-8 kHz and the
    detector does not look, but without dither it is no more than 2 us per frame cheaper.
    """
    return live_resampler(from_rate, 16000)


def live_resampler(from_rate: int, to_rate: int) -> StreamResampler:
    """For a stream on its way to a model: a constant delay of about a millisecond, every frame complete.

    Rates in an awkward ratio (above 1000 phases) fall back to soxr HQ and its hold-back of up to 37 ms.
    """
    if max(_ratio(from_rate, to_rate)) > _MAX_PHASES:
        return Resampler(from_rate, to_rate, "HQ")
    return LiveResampler(from_rate, to_rate)


def playout_resampler(from_rate: int, to_rate: int) -> StreamResampler:
    """For the bot's voice: as `live_resampler`, so that no first syllable waits in a filter.

    Flush it once at the end of each reply, else its last samples are said before the next reply; clear it
    after a barge-in.
    """
    return live_resampler(from_rate, to_rate)


def _ratio(from_rate: int, to_rate: int) -> tuple[int, int]:
    """By how much to raise and then to lower the rate, in lowest terms."""
    common = math.gcd(from_rate, to_rate)
    return to_rate // common, from_rate // common


@lru_cache(maxsize=32)
def _phase_matrix(up: int, down: int, groups: int) -> _Floats:
    """The FIR as a matrix: a window of history + groups * down inputs times it gives groups * up outputs.

    One matrix product per frame costs less than one dot product per phase: numpy's price is per call.
    """
    half = _HALF_LENGTH * max(up, down)
    taps = np.arange(-half, half + 1)
    edge = _CUTOFF / max(up, down)
    prototype = edge * up * np.sinc(edge * taps) * np.kaiser(2 * half + 1, _KAISER_BETA)

    history = 2 * half // up
    outputs = groups * up
    matrix = np.zeros((history + groups * down, outputs), np.float32)
    for output in range(outputs):
        # Output k stands at k * down on the raised grid, input i at i * up; the filter is causal.
        inputs = np.arange(-history, output * down // up + 1)
        tap = output * down - inputs * up
        inside = tap <= 2 * half
        matrix[inputs[inside] + history, output] = prototype[tap[inside]]
    matrix.flags.writeable = False
    return matrix


def _to_int16(samples: _Floats) -> Samples:
    """Round and saturate; `samples` is a scratch array of ours and is overwritten."""
    np.rint(samples, out=samples)
    np.clip(samples, -FULL_SCALE, FULL_SCALE - 1, out=samples)
    return samples.astype(np.int16)
