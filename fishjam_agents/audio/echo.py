"""The echo guard: the bot's own voice in a microphone counts as noise, not as somebody speaking.

A loudspeaker brings the bot's voice back some 50 to 300 ms later. The guard finds that delay by correlating
the levels of the microphone, 20 ms a step, with those of what was played; the waveforms need not match, so it
stands clipping, drift and a room's reverberation. It learns for each band how much of the voice comes back,
and predicts from what is playing how loud the echo is now. What does not exceed it by a margin is no speech.

The rules and constants are the detector study's (section 6, "Echo guard").
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import BAND_STARTS, SILENCE_POWER
from fishjam_agents.audio.echo_reference import LAGS, VOICE

MARGIN = 4.0
"""dB by which a sound must exceed the expected echo in a band to be noticed there."""

_FRAME = 0.02
_RATE = _FRAME / 3.0
_FAST_RATE = _FRAME / 0.4
_LEAST_MICROPHONE = -70.0
_LEAST_REFERENCE = -60.0
_SEARCH_FRAMES = 25
"""Frames of the bot's voice before a delay is believed."""
_COLD_FRAMES = 50
"""As long as no delay is known, the first second of the bot's voice is guarded by its level alone."""
_COLD_MARGIN = -3.0
_GIVE_UP_FRAMES = 150
_LOUD = 20.0
"""dB below its loudest at which the bot's voice is loud."""
_FADING = 0.02
"""dB per frame by which its loudest is forgotten."""
_WATCH_FRAMES = 50
_REST_FRAMES = 150
"""A microphone without an echo is watched for a second of the bot's voice, then left alone for three."""
_SURE = 0.7
"""Correlation that makes an echo known. Echoes of -6 to -20 dB reach 0.75 to 0.96 within half a second, in
rooms and in noise of -45 dBFS, too; two people who talk at once exceed 0.6 in one of ten cases and 0.7 in
hardly any."""
_UNLIKELY = 0.6
"""Below this, a microphone in which something happens hears somebody, and no echo."""
_FOUND = 0.5
"""Correlation with which a known echo is followed to another delay."""
_LOST = 0.2
_LEAST_VARIANCE = 9.0
"""dB squared. A microphone that hears less change than this hears no voice, whatever it correlates with."""
_DOMINANT = 0.6
"""Correlation above which what the microphone hears is the echo, so that its gain can be learned."""
_LEARNING_FRAMES = 100
_LEARNING_STEPS = (-0.5, 2.0)
_STEPS = (-0.05, 0.15)
"""How far a band's gain follows a frame, dB: it falls slowly, because a louder echo does the harm."""
_GAINS = (-50.0, 6.0)
_REVERBERATION = 2.0
"""dB by which an echo dies away per frame: a reverberation time of 0.6 s."""
_AUDIBLE = -65.0
_SEARCH_EVERY = 5

_Floats = npt.NDArray[np.float64]


class Echo(NamedTuple):
    """The echo that may be in a frame."""

    bands: Sequence[float]
    """Its power with the margin, a share of full scale for each band; empty while only its level is known."""
    level: float
    """Level of the voice band below which a frame is taken for echo, dBFS."""


class _Correlation:
    """Of the microphone's level with that of the voice at some delays: leaky moments over its loud frames.

    Only those count, because two people who begin at the same moment have that step in common, which is
    higher than any syllable.
    """

    __slots__ = ("covariance", "frames", "mean", "microphone", "power", "variance")

    def __init__(self, delays: int) -> None:
        self.frames: _Floats = np.zeros(delays)
        self.microphone: _Floats = np.zeros(delays)
        self.power: _Floats = np.zeros(delays)
        self.mean: _Floats = np.zeros(delays)
        self.variance: _Floats = np.zeros(delays)
        self.covariance: _Floats = np.zeros(delays)

    def take(self, microphone: float, voice: _Floats, least: float, rate: float) -> None:
        """Take the levels of one frame, dB; `voice` has one for each delay, and is loud above `least`."""
        loud = voice > least
        self.frames += loud
        rates = np.maximum(rate, 1 / np.maximum(self.frames, 1)) * loud
        apart = microphone - self.microphone
        difference = voice - self.mean
        keep = 1 - rates
        step = rates * apart
        self.microphone += step
        self.power = keep * (self.power + step * apart)
        self.covariance = keep * (self.covariance + step * difference)
        difference_step = rates * difference
        self.mean += difference_step
        self.variance = keep * (self.variance + difference_step * difference)

    def coefficients(self) -> _Floats:
        """Correlation at each delay, -1 to 1; 0 where there is not yet enough to tell."""
        result: _Floats = self.covariance / np.sqrt(self.variance * self.power + 1e-9)
        result[self.frames < _SEARCH_FRAMES] = 0.0
        return result


class EchoGuard:
    """Follows the echo in one microphone; used only while the bot speaks, or has just spoken.

    Attributes:
        delay: Frames by which the echo follows the voice; None while no echo is known.
        gain: How much louder than the voice it is in each band, dB.
    """

    def __init__(self, margin: float = MARGIN) -> None:
        self.delay: int | None = None
        self.gain = [0.0] * len(BAND_STARTS)
        self._margin = margin
        self._frames = 0
        self._learned = 0
        self._known = False
        self._cold = True
        self._slow = _Correlation(LAGS)
        self._fast = _FastCorrelation()
        self._loudest = _LEAST_REFERENCE
        self._rest = 0
        self._trail = [-100.0] * len(BAND_STARTS)

    def rests(self) -> bool:
        """Whether the next frame need not be looked at. To be asked once for each frame."""
        if not self._rest:
            return False
        self._rest -= 1
        return True

    def expect(self, bands: Sequence[float], level: float, window: _Floats) -> Echo | None:
        """Take a frame, and say what echo may be in it.

        Args:
            bands: Powers of the frame, shares of full scale.
            level: Its voice band, dBFS.
            window: What has played (`EchoReference.window`).

        Returns:
            None when no echo is expected.
        """
        self._frames += 1
        frames = self._frames
        microphone = max(level, _LEAST_MICROPHONE)
        # Once a delay has been found, or not been for long, every second frame tells as much.
        every = 1 if self.delay is None and frames <= _GIVE_UP_FRAMES else 2
        if frames % every == 0:
            voice = np.maximum(window[::-1, VOICE], _LEAST_REFERENCE)
            self._loudest = max(float(voice.max()), self._loudest - every * _FADING)
            self._slow.take(microphone, voice, self._loudest - _LOUD, every * _RATE)
        if frames >= _SEARCH_FRAMES and frames % _SEARCH_EVERY == 0:
            self._search(bands)
        delay = self.delay
        if delay is None:
            if frames >= _COLD_FRAMES or not self._cold:
                return None
            loudest = float(window[:, VOICE].max())
            return Echo((), loudest + _COLD_MARGIN) if loudest > _LEAST_REFERENCE else None
        return self._predict(bands, microphone, window, delay)

    def _search(self, bands: Sequence[float]) -> None:
        slow = self._slow
        coefficients = slow.coefficients()
        best = int(coefficients.argmax())
        lively = slow.power[best] > _LEAST_VARIANCE
        if lively and coefficients[best] > (_SURE if self.delay is None else _FOUND):
            if not self._known:
                self._known = True
                self.gain = [min(0.0, float(slow.microphone[best] - slow.mean[best]))] * len(bands)
            self.delay = best
        elif self.delay is not None and coefficients[self.delay] < _LOST and self._frames > _GIVE_UP_FRAMES:
            self.delay = None
        if self.delay is None and self._frames > _GIVE_UP_FRAMES and self._frames % _WATCH_FRAMES == 0:
            self._rest = 0 if coefficients[best] > _FOUND else _REST_FRAMES
        judged = lively and slow.frames.min() >= _SEARCH_FRAMES
        self._cold = self._cold and not self._known and not (judged and coefficients[best] < _UNLIKELY)

    def _predict(self, bands: Sequence[float], microphone: float, window: _Floats, delay: int) -> Echo | None:
        here = LAGS - 1 - delay
        near: list[float] = window[max(here - 1, 0) : here + 2].max(axis=0).tolist()
        trail = [
            max(loudest, before - _REVERBERATION)
            for loudest, before in zip(near[:VOICE], self._trail, strict=True)
        ]
        self._trail = trail
        if self._fast.take(microphone, max(float(window[here, VOICE]), _LEAST_REFERENCE)) > _DOMINANT:
            self._learn(bands, trail)
        expected = [
            10 ** ((loud + gain + self._margin) / 10) if loud > _AUDIBLE else 0.0
            for loud, gain in zip(trail, self.gain, strict=True)
        ]
        voice = expected[1] + expected[2] + expected[3]
        return Echo(expected, 10 * log10(voice)) if voice > SILENCE_POWER else None

    def _learn(self, bands: Sequence[float], trail: Sequence[float]) -> None:
        low, high = _LEARNING_STEPS if self._learned < _LEARNING_FRAMES else _STEPS
        self._learned += 1
        for index, (power, loud) in enumerate(zip(bands, trail, strict=True)):
            gain = self.gain[index]
            step = 10 * log10(max(power, SILENCE_POWER)) - loud - gain
            gain += min(max(step, low), high)
            self.gain[index] = min(max(gain, _GAINS[0]), _GAINS[1])


class _FastCorrelation:
    """The same at one delay over 0.4 s, in plain numbers."""

    __slots__ = ("covariance", "microphone", "power", "variance", "voice")

    def __init__(self) -> None:
        self.microphone = self.voice = _LEAST_MICROPHONE
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
        return float(self.covariance / (self.power * self.variance + 1e-9) ** 0.5)
