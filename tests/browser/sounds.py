"""What a page said and heard, and comparing sounds."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.wav import read_wav

RATE = 48000
"""Hz of what pages say and hear."""

FIXTURES = Path(__file__).parents[2] / "audio_fixtures"

_HOP = RATE // 100
"""Samples between two rows of a spectrogram."""
_PIECE = RATE // 5
_SHIFT = RATE // 2
_ALIKE = 0.6
"""Pieces that passed Opus twice and a bot at 16 kHz have 0.8 and more; of other words, seldom 0.5."""
_PAUSE = -35.0
"""dB below full scale: pieces that are as quiet have no waveform to compare."""

HEARD = 0.4
"""Part of it from which something said counts as heard (`same_words`); other words have 0.15 and less."""
NOT_HEARD = 0.25

Signal = npt.NDArray[np.float64]


def words(name: str) -> npt.NDArray[np.int16]:
    """A fixture's speech without the silence around it, int16 mono at 48 kHz."""
    clip = read_wav(FIXTURES / name)
    samples = clip.mono()
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 300)
    return resample(samples[loud[0] : loud[-1]], clip.sample_rate, RATE)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a page said and heard, on one clock.

    Attributes:
        start: Sample of the page's clock that the tracks begin with.
        tracks: By the peer they came from, between -1 and 1; `microphone` is what the page itself said.
    """

    start: int
    tracks: dict[str, Signal]

    @classmethod
    def read(cls, data: dict[str, Any]) -> Recording:
        """The recording as the page gives it."""
        tracks = {
            name: np.frombuffer(base64.b64decode(text), "<i2") / 32768
            for name, text in data["tracks"].items()
        }
        return cls(data["start"], tracks)

    def part(self, track: str, begin: int, seconds: float) -> Signal:
        """A part of a track that begins at a sample of the page's clock."""
        at = begin - self.start
        return self.tracks[track][at : at + round(seconds * RATE)]


def level(sound: npt.NDArray[Any]) -> float:
    """RMS in dB below full scale; -120 for digital silence."""
    samples = sound / 32768 if sound.dtype == np.int16 else sound
    if not len(samples):
        return -120.0
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(samples, dtype=float))), 1e-6)))


def similarity(said: npt.NDArray[Any], sound: npt.NDArray[Any]) -> tuple[float, int]:
    """Peak of the normalised cross-correlation of two signals, and the sample of `sound` it is at."""
    return _match(said.astype(float)[:, None], sound.astype(float)[:, None])


def same_words(said: npt.NDArray[Any], sound: npt.NDArray[Any]) -> tuple[float, int]:
    """Part of what was said that is heard in `sound`, from 0 to 1, and its sample where that begins.

    The place is found by spectrograms. There waveforms are compared, in pieces: a browser stretches what it
    plays by some milliseconds, to keep its buffer at the length it wants; a busy machine tears holes in it.
    """
    if len(sound) <= len(said):
        return 0.0, 0
    _, row = _match(_spectrogram(said), _spectrogram(sound))
    begin = row * _HOP
    found = []
    for at in range(0, len(said) - _PIECE, _PIECE):
        piece = said[at : at + _PIECE]
        if level(piece) > _PAUSE:
            around = sound[max(begin + at - _SHIFT, 0) : begin + at + _PIECE + _SHIFT]
            found.append(similarity(piece, around)[0] > _ALIKE)
    return float(np.mean(found)), begin


def _match(wanted: Signal, given: Signal) -> tuple[float, int]:
    """Highest normalised correlation of rows over time, and the row of `given` it begins at."""
    if len(given) <= len(wanted):
        return 0.0, 0
    size = 1 << (len(wanted) + len(given)).bit_length()
    product = np.fft.rfft(given, size, axis=0) * np.conj(np.fft.rfft(wanted, size, axis=0))
    correlation = np.fft.irfft(product, size, axis=0).sum(axis=1)[: len(given) - len(wanted)]
    energy = np.cumsum(np.concatenate(([0.0], (given**2).sum(axis=1))))
    power = (energy[len(wanted) :] - energy[: -len(wanted)])[: len(correlation)]
    # Where nearly nothing is heard, nearly nothing can be alike.
    floor = max(float(power.max()) * 1e-3, 1e-9)
    normalised = correlation / np.sqrt((wanted**2).sum() * np.maximum(power, floor))
    return float(normalised.max()), int(normalised.argmax())


def _spectrogram(sound: npt.NDArray[Any]) -> Signal:
    """Levels of bands of 100 Hz up to 4 kHz, in dB above the noise: a row for each 10 ms."""
    samples = sound / 32768 if sound.dtype == np.int16 else sound
    rows = np.lib.stride_tricks.sliding_window_view(samples, 2 * _HOP)[::_HOP] * np.hanning(2 * _HOP)
    power = np.abs(np.fft.rfft(rows, axis=1)) ** 2
    bands = power[:, 2:82].reshape(len(rows), 40, 2).sum(axis=2)
    levels = np.maximum(10 * np.log10(bands + 1e-12) + 20, 0.0)
    return np.asarray(levels - levels.mean(axis=0) * 0.5)
