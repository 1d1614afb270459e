"""Delay of an echo, followed by its waveform: a canceller learns slowly what a comparison tells at once.

AEC3 estimates the delay itself, in steps of 4 ms. When another loudspeaker is chosen, or clocks have drifted
apart by a step, it cancels the wrong sound for up to 5 s. Told of the change, it goes on as before.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from fishjam_agents.audio.echo_match import MAX_DELAY, match_echo
from fishjam_agents.audio.echo_reference import EchoReference
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.audio.samples import Samples

LOOKS = frozenset((5, 8, 11, 14, 17, 20))
"""Frames after a suspicion at which its sound is compared: the last but two come before 18 frames of it may
confirm an interruption."""
_BEFORE = 0.06
"""Seconds that a sound has lasted when it is suspected."""
_COMPARED = 25
"""Frames of the microphone that are compared, 0.5 s; a match costs 2 ms of CPU."""
_OFTEN, _SELDOM = 25, 100
"""Frames between two comparisons, until a delay is found and once it is: clocks 200 ppm apart have drifted
0.4 ms by then."""
_TRIES = 10
"""Comparisons after which there are fewer: without an echo, or which found it where it was expected."""
_FASTEST = 0.001
"""Share by which a delay may grow with time; clocks of cheap devices are 0.0002 apart."""
_SAME = 0.001
"""Seconds within which two delays are one. A comparison is exact to 0.1 ms; one in twenty is wrong by a
period of the voice, 2 ms and more."""
_LEARNED = 0.1
"""Share of a drift between two comparisons that is believed."""
_QUIET = 20
"""Peak of a frame, of 32768, below which nothing comes back in it."""


class EchoDelay:
    """Follows how late the bot's voice comes back in one microphone. Pure: the times are given.

    Args:
        reference: The bot's voice.
        sample_rate: Hz of the microphone.

    Attributes:
        seconds: By how much the echo follows what was played; None while no echo is known.
    """

    def __init__(self, reference: EchoReference, sample_rate: int) -> None:
        self._reference = reference
        self._rate = sample_rate
        self._frames: deque[Samples] = deque(maxlen=_COMPARED)
        self.reset()

    def reset(self) -> None:
        """Forget the echo: what comes next is another device, or another room."""
        self.seconds: float | None = None
        self._drift = 0.0
        self._tries = self._found = 0
        self._elapsed = 0
        self.rest()

    def rest(self) -> None:
        """Take it that the sound is interrupted: the delay may be another one when it goes on."""
        self._frames.clear()
        self._candidate: float | None = None
        self._due = _COMPARED
        self._followed = 0

    def take(self, frame: Samples, at: float, suspected: bool) -> None:
        """Take a frame of the microphone, as it came.

        Args:
            frame: int16 mono, 20 ms.
            at: Call time at its end, seconds.
            suspected: Whether a sound is being followed that may be an echo of another delay.
        """
        self._frames.append(frame)
        self._due -= 1
        self._elapsed += 1
        if self.seconds is not None:
            self.seconds += self._drift * FRAME_SECONDS
        self._followed = self._followed + 1 if suspected else 0
        if self._followed in LOOKS:
            seconds = self._followed * FRAME_SECONDS + _BEFORE
            delay = self._compare(at, round(seconds / FRAME_SECONDS), self.seconds)
            if delay is not None and (self.seconds is None or abs(delay - self.seconds) > _SAME):
                self._move(delay)
                self._due = _OFTEN
        elif self._due <= 0:
            self._look(at)

    def _look(self, at: float) -> None:
        self._tries += 1
        delay = self._compare(at, _COMPARED)
        if delay is not None and self._follow(delay):
            self._due = _OFTEN if self._found < _TRIES else _SELDOM
        else:
            # One that was found elsewhere is soon looked at again.
            self._due = _OFTEN if delay is not None or self._tries < _TRIES else _SELDOM

    def _follow(self, delay: float) -> bool:
        """Follow the echo to a delay, in a step only if it was found twice; False if it was not."""
        if self.seconds is not None and abs(apart := delay - self.seconds) <= _SAME:
            self.seconds += 0.5 * apart
            self._drift += _LEARNED * apart / (self._elapsed * FRAME_SECONDS)
            self._drift = min(max(self._drift, -_FASTEST), _FASTEST)
            self._elapsed = 0
            self._found += 1
            self._candidate = None
            return True
        if self._candidate is not None and abs(delay - self._candidate) <= _SAME:
            self._move(delay)
            return True
        self._candidate = delay
        return False

    def _move(self, delay: float) -> None:
        self.seconds, self._candidate = delay, None
        self._elapsed = self._found = 0

    def _compare(self, at: float, frames: int, known: float | None = None) -> float | None:
        heard = np.concatenate(list(self._frames)[-frames:])
        if int(np.abs(heard).max()) < _QUIET:
            return None
        played = self._reference.sound(at, len(heard) / self._rate + MAX_DELAY)
        match = match_echo(heard, self._rate, played, self._reference.sample_rate, known)
        return None if match is None else match.delay
