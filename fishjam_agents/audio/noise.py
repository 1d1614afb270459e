"""Noise in one microphone: its level, its floor in each band, and where it becomes another at once."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from math import inf, log10

from fishjam_agents.audio.bands import SILENCE_POWER
from fishjam_agents.audio.formats import FRAME_SECONDS

GATE = 3.0
"""dB above the mean of the noise that the soft end of a word needs; speech needs its spread as well."""
CHANGE_FRAMES = 8
"""Frames of 20 ms out of the range of the noise, nobody speaking, after which they are the noise. Speech is
found sooner: its onset takes 60 to 120 ms in the median (docs/quality.md)."""

_RATE = FRAME_SECONDS / 0.7
_RATE_IN_SPEECH = FRAME_SECONDS / 20
_SILENCE = -100.0
_FIRST_SPREAD = 2.0
_LEAST_SPREAD = 1.0
_MOST_DEVIATION = 12.0
"""dB. What is farther from the mean is a sound or another noise: it does not tell how far this one strays."""


class Change(enum.Enum):
    """Progress of a change from one noise to another."""

    NONE = 0
    BEGUN = 1
    """The frame is the first out of range."""
    DONE = 2
    """The estimate from before the change began is void."""


_NONE, _BEGUN, _DONE = Change


class NoiseLevel:
    """Mean and spread of the level of one microphone while nobody speaks.

    It begins with silence, so that whoever speaks with the first frame is heard. A level that is out of the
    range of the noise for `CHANGE_FRAMES`, while nobody speaks, is the noise from then on: that of the room
    when a call begins, after a mute, or when another device is plugged in. Both are no matter of averages:
    a mean would crawl from one noise to the other, and a spread that counts the step would be deaf meanwhile.

    Attributes:
        mean: dBFS.
        spread: Estimate of the standard deviation, dB.
        range: How far from the mean the noise is expected, dB; what is farther above may be speech.
    """

    __slots__ = ("_above", "_run", "mean", "range", "spread")

    def __init__(self) -> None:
        self.mean = _SILENCE
        self.spread = _FIRST_SPREAD
        self.range = GATE + _FIRST_SPREAD
        self._run: list[float] = []
        self._above = True

    def learn(self, level: float, in_speech: bool, echo: bool) -> Change:
        """Take the level of a frame, once it is known whether somebody spoke in it.

        Args:
            level: Of the voice band, dBFS.
            in_speech: Whether the turn machine was in speech after it: then a louder noise is hardly learned.
            echo: Whether the bot's voice may be in it: then a louder noise is not learned.
        """
        distance = level - self.mean
        if in_speech or echo:
            if distance < 0:
                self.mean += _RATE * distance
            elif not echo:
                self.mean += _RATE_IN_SPEECH * distance
            if self._run:
                self._run.clear()
            return _NONE
        apart = -distance if distance < 0 else distance
        change = _NONE
        if apart >= self.range:
            change = self._apart(level, distance > 0)
            if change is _DONE:
                return change
        elif self._run:
            self._run.clear()
        self.mean += _RATE * distance
        # 1.25 times the mean deviation of a normal distribution is its standard deviation.
        deviation = 1.25 * apart
        if deviation > _MOST_DEVIATION:
            deviation = _MOST_DEVIATION
        self._strays(self.spread + _RATE * (deviation - self.spread))
        return change

    def _apart(self, level: float, above: bool) -> Change:
        run = self._run
        if above is not self._above:
            run.clear()
            self._above = above
        run.append(level)
        if len(run) < CHANGE_FRAMES:
            return _BEGUN if len(run) == 1 else _NONE
        # Whoever begins to speak meanwhile is in the upper half.
        run.sort()
        lower = run[: CHANGE_FRAMES // 2]
        self.mean = sum(lower) / len(lower)
        self._strays(_FIRST_SPREAD)
        run.clear()
        return _DONE

    def _strays(self, spread: float) -> None:
        self.spread = spread
        self.range = GATE + (spread if spread > _LEAST_SPREAD else _LEAST_SPREAD)


_FLOOR_FACTOR = 1.6
"""The minimum of a smoothed power lies below its mean by about this much."""
_FLOOR_BLOCK = 10
_FLOOR_BLOCKS = 8
"""The floor is the minimum of the last 8 blocks of 10 frames and the open one: 1.6 to 1.8 s."""


class NoiseFloors:
    """Minimum statistics of some bands: the power that is there whoever speaks. Silence, to begin with.

    Args:
        bands: Their number.

    Attributes:
        smoothed: Power in each band, a mean over about two frames.
    """

    __slots__ = ("_block", "_blocks", "_frames", "_held", "_lowest", "_recent", "smoothed")

    def __init__(self, bands: int) -> None:
        self.smoothed = [0.0] * bands
        self._lowest = [inf] * bands
        self._blocks = [self.smoothed[:] for _ in range(_FLOOR_BLOCKS)]
        self._held = [0.0] * bands
        self._block = 0
        self._frames = 0
        # The least of the smoothed power since `begin_change`.
        self._recent = [0.0] * bands

    def above(self, powers: Sequence[float], echo: Sequence[float] = ()) -> list[float]:
        """Take the powers of a frame, return how far each stands above its floor: 0 to 20 dB.

        Args:
            powers: Of each band.
            echo: Powers that are part of the floors, but not learned; empty for none.
        """
        # Locals, and one loop over what all bands remember: this is done for every frame of every call.
        means, lows, held, recent = self.smoothed, self._lowest, self._held, self._recent
        above = [0.0] * len(means)
        for band, power in enumerate(powers):
            smoothed = means[band]
            # After digital silence there is nothing to smooth.
            means[band] = smoothed = power if smoothed < SILENCE_POWER else 0.5 * (smoothed + power)
            lowest = lows[band]
            if smoothed < lowest:
                lows[band] = lowest = smoothed
            if smoothed < recent[band]:
                recent[band] = smoothed
            if held[band] < lowest:
                lowest = held[band]
            floor = _FLOOR_FACTOR * lowest
            if floor < SILENCE_POWER:
                floor = SILENCE_POWER
            if echo and floor < echo[band]:
                floor = echo[band]
            if power > floor:
                distance = 10 * log10(power / floor)
                above[band] = distance if distance < 20.0 else 20.0
        self._frames += 1
        if self._frames == _FLOOR_BLOCK:
            self._close_block()
        return above

    def _close_block(self) -> None:
        self._blocks[self._block] = self._lowest
        self._block = (self._block + 1) % _FLOOR_BLOCKS
        self._lowest = [inf] * len(self._lowest)
        self._held = [min(lows) for lows in zip(*self._blocks, strict=True)]
        self._frames = 0

    def begin_change(self) -> None:
        """Take note that another noise may have begun with the last frame."""
        self._recent = self.smoothed[:]

    def change(self) -> None:
        """Forget what was before the last `begin_change`."""
        never = [inf] * len(self.smoothed)
        self._blocks = [never] * _FLOOR_BLOCKS
        self._lowest = self._recent[:]
        self._held = never
        self._frames = 0
