"""The echo guard: the bot's own voice in a microphone counts as noise, not as somebody speaking.

A loudspeaker brings the bot's voice back some 50 to 300 ms later. The guard finds that delay by correlating
the levels of the microphone, 20 ms a step, with those of what was played; the waveforms need not match, so it
stands clipping, drift and a room's reverberation. It learns for each band how much of the voice comes back,
and predicts from what is playing how loud the echo is now. What does not exceed it by a margin is no speech.

Loudspeakers come and go in mid-call. A sound that is suspected over the bot's voice is therefore compared
with it at once (`echo_match`), and what matches teaches the guard a new delay or gain, whatever it knew.

The rules and constants were measured in simulated rooms; docs/quality.md measures them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import BAND_STARTS, SILENCE_POWER
from fishjam_agents.audio.compiled import native
from fishjam_agents.audio.echo_levels import (
    LEAST_MICROPHONE,
    SEARCH_FRAMES,
    FastCorrelation,
    LevelCorrelation,
    coefficients,
    take_levels,
)
from fishjam_agents.audio.echo_match import EchoMatch
from fishjam_agents.audio.echo_reference import LAGS, VOICE
from fishjam_agents.audio.formats import FRAME_SECONDS

if TYPE_CHECKING:
    from fishjam_agents.audio._native import EchoGuard as CompiledGuard

MARGIN = 4.0
"""dB by which a sound must exceed the expected echo in a band to be noticed there."""

_RATE = FRAME_SECONDS / 3.0
LEAST_REFERENCE = -60.0
"""Level, dBFS, below which the bot's voice counts as silent."""
_COLD_FRAMES = 50
"""As long as no delay is known, the first second of the bot's voice is guarded by its level alone."""
_LIVELY = 8.0
"""dB by which what was played changes within half a second where it tells anything: a steady background goes
alike with every steady noise."""
UNREADY = 2
"""The newest rows of a window, which may still be silent."""
_STALE_FRAMES = 75
"""Correlated frames that a suspicion ends: what it is about may have begun with it."""
_COLD_MARGIN = -3.0
_BOUND_MARGIN = 6.0
"""dB by which an echo may be louder than the microphone has shown it to be: a room's resonances."""
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
"""Steps of a band's gain towards a frame, dB: slow to fall, because a louder echo does the harm."""
_LEAST_GAIN, _MOST_GAIN = -50.0, 6.0
_REVERBERATION = 2.0
"""dB by which an echo dies away per frame: a reverberation time of 0.6 s."""
_ABSENT = 10.0
"""dB by which a microphone is quieter than the echo that is expected in it, where there is none any more."""
_ABSENT_FRAMES = 25
"""Loud frames of the bot's voice without its echo after which none is known: a headset was put on, or a
canceller has learned the path."""
_AUDIBLE = -65.0
_SEARCH_EVERY = 5

_Floats = npt.NDArray[np.float64]


class Echo(NamedTuple):
    """The echo that may be in a frame."""

    bands: Sequence[float]
    """Its power with the margin, a share of full scale for each band; empty while only its level is known."""
    level: float
    """Level of the voice band below which a frame is taken for echo, dBFS."""

    @classmethod
    def sum(cls, echoes: Sequence[Echo]) -> Echo | None:
        """Several echoes in one frame, from as many loudspeakers; None of none."""
        if len(echoes) < 2:
            return echoes[0] if echoes else None
        known = [echo.bands for echo in echoes if echo.bands]
        bands = [sum(powers) for powers in zip(*known, strict=True)]
        return cls(bands, 10 * log10(sum(10 ** (echo.level / 10) for echo in echoes)))


class EchoSource(Protocol):
    """Estimate of the echo in a frame, as voice detectors use it."""

    def expect(self, bands: Sequence[float], level: float) -> Echo | None:
        """Take a frame, and say what echo may be in it.

        Args:
            bands: Powers of the frame, shares of full scale.
            level: Its voice band, dBFS.

        Returns:
            None when no echo is expected.
        """
        ...


class GuardedFrame(NamedTuple):
    """A frame, as far as its echo goes: an `EchoSource` whose `expect` many microphones can ask at once."""

    guard: EchoGuard
    window: _Floats
    """Levels of the voice that has played (`EchoReference.window`)."""

    def expect(self, bands: Sequence[float], level: float) -> Echo | None:
        """Part of `EchoSource`."""
        return self.guard.expect(bands, level, self.window)


class EchoGuard:
    """Follows the echo in one microphone; used only while the bot speaks, or has just spoken.

    It is the reference: what runs is its compiled twin (`make_guard`), where that was built.

    Args:
        margin: dB by which a sound must exceed the expected echo.

    Attributes:
        delay: Frames by which the echo follows the voice; None while no echo is known.
        gain: How much louder than the voice it is in each band, dB.
    """

    def __init__(self, margin: float = MARGIN) -> None:
        self.delay: int | None = None
        self.gain = [0.0] * len(BAND_STARTS)
        self._margin = margin
        self._frames = 0
        self._skipped = 0
        self._every = 1
        self._lively = False
        self._learned = 0
        self._absent = 0
        self._known = False
        self._cold = True
        self._slow = LevelCorrelation(LAGS)
        self._fast = FastCorrelation()
        self._loudest = LEAST_REFERENCE
        self._rest = 0
        self._trail = [-100.0] * len(BAND_STARTS)
        self._bound: _Floats = np.full(LAGS, np.inf)

    @property
    def untold(self) -> int:
        """Frames of the bot's voice that told nothing yet; 0 once it is known whether there is an echo."""
        return self._frames if self._cold and self.delay is None else 0

    def take_skip(self, suspected: bool = False) -> bool:
        """Return whether the next frame need not be looked at. To be asked once for each.

        Args:
            suspected: Whether a sound is being followed in the microphone: then it always is.
        """
        if suspected:
            self._rest = 0
        if not self._rest:
            return False
        self._rest -= 1
        return True

    def suspect(self) -> None:
        """Begin anew to compare levels: a sound is suspected, and the past has no part in it."""
        if float(self._slow.frames.max()) > _STALE_FRAMES:
            self._slow = LevelCorrelation(LAGS)
            self._rest = 0

    def learn(self, match: EchoMatch) -> None:
        """Take it that the echo is what was recognised, whatever was known of it."""
        delay = min(max(round(match.delay / FRAME_SECONDS), 0), LAGS - 1)
        gain = [min(max(each, _LEAST_GAIN), _MOST_GAIN) for each in match.gain]
        if self.delay is not None and abs(self.delay - delay) <= 1:
            # It has become louder, or somebody speaks over it, whom fast learning would take for echo.
            self.gain = [max(before, each) for before, each in zip(self.gain, gain, strict=True)]
            return
        self.delay, self.gain = delay, gain
        self._known, self._cold = True, False
        self._learned = self._rest = self._absent = 0
        self._slow = LevelCorrelation(LAGS)

    def frame(self, window: _Floats) -> EchoSource:
        """Keep what has played until a frame comes; the window may change afterwards."""
        return GuardedFrame(self, window.copy())

    def expect(self, bands: Sequence[float], level: float, window: _Floats) -> Echo | None:
        """Take a frame, and say what echo may be in it.

        Args:
            bands: Powers of the frame, shares of full scale.
            level: Its voice band, dBFS.
            window: What has played (`EchoReference.window`).

        Returns:
            None when no echo is expected.
        """
        if self.begin():
            voice = window[::-1, VOICE]
            levels = voice.tolist()
            told = self.compare(level, max(levels), min(levels[UNREADY:]))
            if told is not None:
                microphone, least, rate = told
                take_levels(self.moments, microphone, np.maximum(voice, LEAST_REFERENCE), least, rate)
                if self.searches:
                    self.search(coefficients(self.moments), bands)
        return self.predict(bands, level, window)

    def begin(self) -> bool:
        """Take a frame: the first step of `expect`, which `echo_batch` does for many microphones at once.

        Returns:
            Whether its levels are to be compared.
        """
        # Once a delay has been found, or not been for long, every second frame tells as much.
        self._every = 1 if self.delay is None and self._frames <= _GIVE_UP_FRAMES else 2
        self._skipped += 1
        if self._skipped < self._every:
            return False
        self._skipped = 0
        return True

    def compare(self, level: float, loudest: float, softest: float) -> tuple[float, float, float] | None:
        """Compare levels, the second step.

        Args:
            level: Of the frame's voice band, dBFS.
            loudest: The highest level of the bot's voice in the window.
            softest: The lowest, the `UNREADY` newest left out.

        Returns:
            Arguments of `take_levels`: level of the microphone, level above which the voice is loud, weight.
            None where they tell nothing.
        """
        loudest = max(loudest, LEAST_REFERENCE)
        self._lively = loudest - max(softest, LEAST_REFERENCE) > _LIVELY
        if not self._lively:
            return None
        if self.delay is None and loudest > self._loudest + _LOUD:
            # No echo of a background says nothing of the voice's.
            self._cold = True
            self._frames = 0
            self._slow = LevelCorrelation(LAGS)
            self._bound = np.full(LAGS, np.inf)
        every = self._every
        self._frames += every
        self._loudest = max(loudest, self._loudest - every * _FADING)
        return max(level, LEAST_MICROPHONE), self._loudest - _LOUD, every * _RATE

    @property
    def moments(self) -> _Floats:
        """Moments of the levels (`LevelCorrelation.moments`), to be changed in place."""
        return self._slow.moments

    @property
    def searches(self) -> bool:
        """True if, levels having been compared, an echo is to be searched for."""
        return self._frames >= SEARCH_FRAMES and self._frames % _SEARCH_EVERY < self._every

    def search(self, coefficients: _Floats, bands: Sequence[float]) -> None:
        """Search for an echo, the third step.

        Args:
            coefficients: Correlation of the levels at each delay.
            bands: Powers of the frame.
        """
        slow = self._slow
        best = int(coefficients.argmax())
        lively = slow.liveliness(best) > _LEAST_VARIANCE
        fresh = slow.frames.max() <= _STALE_FRAMES
        if lively and coefficients[best] > (_SURE if self.delay is None or fresh else _FOUND):
            if not self._known:
                self._known = True
                self.gain = [min(0.0, slow.gain(best))] * len(bands)
            self.delay = best
        elif self.delay is not None and coefficients[self.delay] < _LOST and not fresh:
            self.delay = None
        if self.delay is None and self._frames > _GIVE_UP_FRAMES and self._frames % _WATCH_FRAMES < 2:
            self._rest = 0 if fresh or coefficients[best] > _FOUND else _REST_FRAMES
        judged = lively and slow.frames.min() >= SEARCH_FRAMES
        self._cold = self._cold and not self._known and not (judged and coefficients[best] < _UNLIKELY)

    def predict(
        self, bands: Sequence[float], level: float, window: _Floats, near: Sequence[float] | None = None
    ) -> Echo | None:
        """Say what echo may be in the frame: the last step.

        Args:
            bands: Powers of the frame.
            level: Level of its voice band, dBFS.
            window: What has played.
            near: The highest levels of what played a `delay` ago and 20 ms before and after; None to look.
        """
        delay, microphone = self.delay, level if level > LEAST_MICROPHONE else LEAST_MICROPHONE
        if delay is None:
            if not (self._cold and self._lively) or self._frames >= _COLD_FRAMES:
                return None
            return Echo((), self._at_most(microphone, window[::-1, VOICE]))
        here = LAGS - 1 - delay
        if near is None:
            around: list[list[float]] = window[max(here - 1, 0) : here + 2].tolist()
            near = [max(*each) for each in zip(*around, strict=True)]
        voice_here = window.item(here, VOICE)
        loud_here = voice_here if voice_here > LEAST_REFERENCE else LEAST_REFERENCE
        learns = self._fast.take(microphone, loud_here) > _DOMINANT and self._lively
        low, high = _LEARNING_STEPS if self._learned < _LEARNING_FRAMES else _STEPS
        self._learned += learns
        # One loop over what all bands remember: this is done for every frame under the bot's voice.
        trail, gains, margin = self._trail, self.gain, self._margin
        expected = []
        for band, power in enumerate(bands):
            loud, gain = trail[band] - _REVERBERATION, gains[band]
            if near[band] > loud:
                loud = near[band]
            trail[band] = loud
            if learns:
                step = 10 * log10(power if power > SILENCE_POWER else SILENCE_POWER) - loud - gain
                gain += low if step < low else min(step, high)
                gains[band] = gain = _LEAST_GAIN if gain < _LEAST_GAIN else min(gain, _MOST_GAIN)
            expected.append(10 ** ((loud + gain + margin) / 10) if loud > _AUDIBLE else 0.0)
        self._miss(microphone, voice_here)
        voice = expected[1] + expected[2] + expected[3]
        return Echo(expected, 10 * log10(voice)) if voice > SILENCE_POWER else None

    def _miss(self, microphone: float, voice: float) -> None:
        """Forget an echo that does not come although the bot's voice is loud."""
        if voice < max(self._loudest - _LOUD, LEAST_REFERENCE):
            return
        _, low, middle, high, _ = self.gain
        expected = voice + (low + middle + high) / 3
        self._absent = self._absent + 1 if microphone < expected - _ABSENT else max(self._absent - 2, 0)
        if self._absent >= _ABSENT_FRAMES:
            self.delay, self._known, self._absent = None, False, 0
            self._slow = LevelCorrelation(LAGS)

    def _at_most(self, microphone: float, voice: _Floats) -> float:
        """The level of an echo of which nothing is known but that it was never louder than the microphone.

        Where the microphone was quiet for as long as an echo may take, while the bot was loud, none is left.
        """
        beside = np.concatenate((voice[:1], voice, voice[-1:]))
        near = np.maximum(np.maximum(beside[:-2], voice), beside[2:])
        level = float((near + np.minimum(self._bound + _BOUND_MARGIN, _COLD_MARGIN)).max())
        least = np.minimum(np.minimum(beside[:-2], voice), beside[2:])
        told = least > max(self._loudest - _LOUD, LEAST_REFERENCE)
        self._bound = np.where(told, np.minimum(self._bound, microphone - least), self._bound)
        return level


def make_guard() -> EchoGuard | CompiledGuard:
    """Make a guard: the compiled one, a tenth of the price, or `EchoGuard` where there is none.

    Both give the same numbers, bit for bit.
    """
    return EchoGuard() if native is None else native.EchoGuard(MARGIN)
