"""Times at which the frames of a microphone were spoken, for what needs every sample in its place.

Packets bear no time. One that is lost and one that is late look alike when the next arrives: only the one
after tells. `MediaClock` finds out within 0.2 s, which is soon enough for turns, and corrects jitter in small
steps; an echo canceller takes each step for another loudspeaker, and hears the bot until it knows better.
"""

from __future__ import annotations

from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples

_LATE = 0.015
"""Seconds by which a frame must be late before anything may be missing: a packet is 20 ms."""
_APART = 0.01
"""Seconds between the arrivals of two late frames that are no burst."""
_LONGEST_RUN = 7
"""Late frames in a row that jitter is believed to make, at most."""
_FORGOTTEN = 20.0
"""Seconds after which a run of late frames is believed to be one shorter."""
_MOST_HELD = 10
"""Frames that are held back at most, whatever comes: 200 ms."""
_MOST_APART = 0.05
"""Seconds by which samples and call time drift apart at most: four minutes of talk at 200 ppm."""
_DRIFT = 0.0005
"""Share by which a sender's clock may be slow, without its frames counting as ever later."""


class Arrivals:
    """Puts frames on call time. Pure: the times are given.

    A frame that is late is held back until the next has come: if that one is late, too, sound was lost
    between them and what came before. Where jitter has made runs of late frames, it takes a longer run.
    """

    __slots__ = ("_early", "_held", "_jitter", "_run", "_since", "_time")

    def __init__(self) -> None:
        self._held: list[tuple[Samples, float]] = []
        self._time: float | None = None
        self._early = 0.0
        self._jitter = 0.0
        self._since = 0.0
        self._run = 0

    def take(self, frame: Samples, now: float) -> list[tuple[Samples, float]]:
        """Take a frame of 20 ms.

        Args:
            frame: int16 mono.
            now: Call time at which it came, seconds.

        Returns:
            Frames whose place is known, in order, with the call time at the end of each: usually the one
            that was given, none while that is late, and several when it comes to light why.
        """
        if self._time is None:
            self._time = now
            return [(frame, now)]
        held = self._held
        if abs(self._early) > _MOST_APART:
            self.settle()
        time = self._time + FRAME_SECONDS * (len(held) + 1)
        # The most punctual frames set the time; those that have come so far may all have been late.
        self._early = min(now - time, self._early + _DRIFT * FRAME_SECONDS)
        late = now - time - self._early
        self._jitter = max(self._jitter - FRAME_SECONDS / _FORGOTTEN, 0.0)
        if not held:
            if late < _LATE:
                self._time = time
                return [(frame, time)]
            self._since, self._run = now, 1
        elif late >= _LATE and now - self._since >= _APART:
            self._since = now
            self._run += 1
        held.append((frame, late))
        if late < _LATE:
            # Nothing was lost: the frames before this one were late by jitter.
            self._jitter = max(self._jitter, min(self._run, _LONGEST_RUN))
        elif self._run > 1 + round(self._jitter):
            self._time += min(each for _, each in held)
        elif len(held) <= _MOST_HELD:
            return []
        return self.release()

    def settle(self) -> None:
        """Take up what the sender's clock has drifted; for when a step disturbs nobody."""
        if self._time is not None and not self._held:
            self._time += self._early
            self._early = 0.0

    def release(self) -> list[tuple[Samples, float]]:
        """Give out what is held back, as if nothing had been lost before it: no more has come for long."""
        placed: list[tuple[Samples, float]] = []
        time = self._time or 0.0
        for frame, _ in self._held:
            time += FRAME_SECONDS
            placed.append((frame, time))
        if placed:
            self._time = time
            self._held.clear()
        return placed

    def reset(self) -> None:
        """Forget what has come, and what is held back."""
        self._held.clear()
        self._time = None
        self._early = 0.0
        self._jitter = 0.0
