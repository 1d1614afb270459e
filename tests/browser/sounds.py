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
    wanted, given = said.astype(float), sound.astype(float)
    if len(given) <= len(wanted):
        return 0.0, 0
    size = 1 << (len(wanted) + len(given)).bit_length()
    product = np.fft.rfft(given, size) * np.conj(np.fft.rfft(wanted, size))
    correlation = np.fft.irfft(product, size)[: len(given) - len(wanted)]
    energy = np.cumsum(np.concatenate(([0.0], given**2)))
    power = (energy[len(wanted) :] - energy[: -len(wanted)])[: len(correlation)]
    # Where nearly nothing is heard, nearly nothing can be alike.
    floor = max(float(power.max()) * 1e-3, 1e-9)
    normalised = correlation / np.sqrt((wanted**2).sum() * np.maximum(power, floor))
    return float(normalised.max()), int(normalised.argmax())
