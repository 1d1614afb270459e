"""Sound of a call on its time axis: callers left, bot right. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.resampling import Resampler
from fishjam_agents.audio.samples import Samples

CALLERS, BOT = 0, 1
"""Columns."""

JITTER = 0.12
"""Seconds that packets may be late by without being taken for missing, as for media time."""
GAP = 1.0
"""Seconds without packets after which sound begins anew where it arrives; what is late by less is put where
it belongs."""
_WATCHED = 0.2
"""Seconds over which the most punctual packet counts: what it is late by is lost packets, not jitter."""
_FINE = 0.04
"""Seconds of lost packets that are not made up yet."""


_SPARE = 24000
"""Samples by which the buffer grows beyond what is needed."""


class StereoMix:
    """Sound that is not written yet, as sums. Positions are samples since the call began.

    Attributes:
        start: Position of its first sample; what comes for an earlier one is too late.
    """

    def __init__(self) -> None:
        self.start = 0
        self._sums: npt.NDArray[np.int32] = np.zeros((0, 2), np.int32)

    def add(self, channel: int, position: int, samples: Samples) -> None:
        """Add int16 mono, shape (n,), to a channel."""
        late = max(self.start - position, 0)
        samples, begin = samples[late:], position + late - self.start
        if not len(samples):
            return
        self._reach(begin + len(samples))
        self._sums[begin : begin + len(samples), channel] += samples

    def erase(self, channel: int, position: int) -> None:
        """Take back what was added to a channel from a position on."""
        self._sums[max(position - self.start, 0) :, channel] = 0

    def take(self, end: int) -> Samples:
        """Take the sound up to a position out: int16, shape (n, 2)."""
        length = max(end - self.start, 0)
        self._reach(length)
        taken, self._sums = self._sums[:length], self._sums[length:].copy()
        self.start += length
        return np.clip(taken, -32768, 32767).astype(np.int16)

    def _reach(self, length: int) -> None:
        missing = length - len(self._sums)
        if missing > 0:
            # With room for what comes next: it comes 50 times a second.
            self._sums = np.concatenate((self._sums, np.zeros((missing + _SPARE, 2), np.int32)))


class TrackPlacement:
    """Places the packets of one microphone, which bear no time.

    Packets follow each other without a seam, however they arrive. What the most punctual of them is late by
    is made up with silence: it stands for packets that were lost.

    Args:
        from_rate: Hz of the packets.
        to_rate: Hz of the mix.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._rate, self._to_rate = from_rate, to_rate
        self._resampler = Resampler(from_rate, to_rate)
        self._next: int | None = None
        self._out = 0
        self._least = 0.0
        self._since: float | None = None

    def place(self, samples: Samples, now: float) -> list[tuple[int, Samples]]:
        """Take a packet that arrived at call time `now`.

        Returns:
            Sound and the position of its first sample, at the rate of the mix.
        """
        arrived = round(now * self._rate) - len(samples)
        placed: list[tuple[int, Samples]] = []
        if self._next is None or arrived - self._next > GAP * self._rate:
            placed += self.finish()
            self._begin(arrived, now)
        else:
            placed += self._follow(arrived, now)
        assert self._next is not None
        # A sender's fast clock, or a burst of what was given up: it must not run ahead of the call.
        ahead = max(self._next - arrived - round(JITTER * self._rate), 0)
        samples = samples[ahead:]
        self._next += len(samples)
        placed += self._give(self._resampler.process(samples))
        return placed

    def finish(self) -> list[tuple[int, Samples]]:
        """The stretch is over: what the resampler held back."""
        return [] if self._next is None else self._give(self._resampler.flush())

    def _begin(self, position: int, now: float) -> None:
        self._next = max(position, 0)
        self._out = round(self._next * self._to_rate / self._rate)
        self._since, self._least = now, float("inf")

    def _follow(self, arrived: int, now: float) -> list[tuple[int, Samples]]:
        assert self._next is not None
        assert self._since is not None
        self._least = min(self._least, (arrived - self._next) / self._rate)
        if now - self._since < _WATCHED:
            return []
        lost, self._since, self._least = self._least, now, float("inf")
        if lost <= _FINE:
            return []
        placed = self.finish()
        self._begin(self._next + round(lost * self._rate), now)
        return placed

    def _give(self, samples: Samples) -> list[tuple[int, Samples]]:
        position, self._out = self._out, self._out + len(samples)
        return [(position, samples)] if len(samples) else []


class VoicePlacement:
    """Places the chunks of the bot's voice where they play, and takes back what an interrupt cuts.

    Args:
        rate: Hz.
        mix: Where to.
    """

    def __init__(self, rate: int, mix: StereoMix) -> None:
        self._rate = rate
        self._mix = mix
        self._end = 0

    def sent(self, samples: Samples, end: float) -> None:
        """A chunk was sent whose last sample plays at call time `end`."""
        position = round(end * self._rate) - len(samples)
        if abs(position - self._end) <= 1:
            # Chunks that follow each other do so to the sample, however their times are rounded.
            position = self._end
        self._mix.add(BOT, position, samples)
        self._end = position + len(samples)

    def cut(self, at: float) -> None:
        """The track was interrupted: what would play at call time `at` or later never does."""
        position = round(at * self._rate)
        if abs(position - self._end) > 1:
            self._mix.erase(BOT, position)
            self._end = position
