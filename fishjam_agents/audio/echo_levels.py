"""Correlation of a microphone's level with that of the bot's voice, in dB, 20 ms a step."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.formats import FRAME_SECONDS

SEARCH_FRAMES = 25
"""Frames of the bot's voice before a delay is believed."""
LEAST_MICROPHONE = -70.0

_FAST_RATE = FRAME_SECONDS / 0.4
_FRAMES, _MICROPHONE, _VOICE, _MICROPHONE_POWER, _VOICE_POWER, _PRODUCT = range(6)

Floats = npt.NDArray[np.float64]


def take_levels(
    moments: Floats,
    microphone: Floats | float,
    voice: Floats,
    least: Floats | float,
    rate: Floats | float,
) -> None:
    """Take the levels of one frame, dB, into the moments of a microphone, or of several.

    Args:
        moments: `LevelCorrelation.moments`, shape (6, delays), or (6, n, delays); changed in place.
        microphone: Level of the microphone; of several, shape (n, 1).
        voice: Levels of the voice, one for each delay, shape (delays,) or (n, delays).
        least: Level above which a voice is loud, as `microphone`.
        rate: Weight of the frame, as `microphone`.
    """
    frames, means = moments[_FRAMES], moments[_MICROPHONE : _VOICE + 1]
    loud = voice > least
    frames += loud
    rates = np.maximum(frames, 1.0)
    np.divide(1.0, rates, out=rates)
    np.maximum(rates, rate, out=rates)
    rates *= loud
    apart = np.empty(means.shape)
    np.subtract(microphone, means[0], out=apart[0])
    np.subtract(voice, means[1], out=apart[1])
    steps = rates * apart
    means += steps
    keep = np.subtract(1.0, rates, out=rates)
    covariance = moments[_PRODUCT]
    covariance += steps[0] * apart[1]
    covariance *= keep
    steps *= apart
    variances = moments[_MICROPHONE_POWER : _VOICE_POWER + 1]
    variances += steps
    variances *= keep


def coefficients(moments: Floats) -> Floats:
    """Correlation at each delay, -1 to 1; 0 where there is not yet enough to tell.

    Args:
        moments: As in `take_levels`.
    """
    below: Floats = moments[_VOICE_POWER] * moments[_MICROPHONE_POWER]
    below += 1e-9
    np.sqrt(below, out=below)
    np.divide(moments[_PRODUCT], below, out=below)
    below[moments[_FRAMES] < SEARCH_FRAMES] = 0.0
    return below


class LevelCorrelation:
    """Of the microphone's level with that of the voice at some delays: leaky moments over its loud frames.

    Only those count, because two people who begin at the same moment have that step in common, which is
    higher than any syllable.

    Attributes:
        moments: At each delay loud frames, mean of the microphone and of the voice, variance of both, and
            their covariance: shape (6, delays).
    """

    __slots__ = ("moments",)

    def __init__(self, delays: int) -> None:
        self.moments: Floats = np.zeros((6, delays))

    @property
    def frames(self) -> Floats:
        """Loud frames at each delay."""
        frames: Floats = self.moments[_FRAMES]
        return frames

    def liveliness(self, delay: int) -> float:
        """Variance of the microphone's level, dB squared."""
        return float(self.moments[_MICROPHONE_POWER, delay])

    def gain(self, delay: int) -> float:
        """Level of the microphone above that of the voice, dB."""
        return float(self.moments[_MICROPHONE, delay] - self.moments[_VOICE, delay])


class FastCorrelation:
    """The same at one delay over 0.4 s, in plain numbers."""

    __slots__ = ("covariance", "microphone", "power", "variance", "voice")

    def __init__(self) -> None:
        self.microphone = self.voice = LEAST_MICROPHONE
        self.power = self.variance = self.covariance = 0.0

    def take(self, microphone: float, voice: float) -> float:
        """Take the levels of one frame, dB, and give the correlation."""
        apart, difference = microphone - self.microphone, voice - self.voice
        self.microphone += _FAST_RATE * apart
        self.voice += _FAST_RATE * difference
        keep = 1 - _FAST_RATE
        self.power = keep * (self.power + _FAST_RATE * apart * apart)
        self.variance = keep * (self.variance + _FAST_RATE * difference * difference)
        self.covariance = keep * (self.covariance + _FAST_RATE * apart * difference)
        return self.covariance / sqrt(self.power * self.variance + 1e-9)
