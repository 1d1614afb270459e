"""The bot's voice in a microphone: one echo guard, told what was played and what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fishjam_agents.audio.bands import WINDOW_SECONDS, voice_level
from fishjam_agents.audio.echo import Echo, EchoSource, make_guard
from fishjam_agents.audio.echo_match import MAX_DELAY, EchoMatch, match_echo
from fishjam_agents.audio.echo_reference import EchoReference, make_meter
from fishjam_agents.audio.formats import FRAME_SECONDS
from fishjam_agents.hearing.ring import Ring

_BEFORE = 0.06
"""Seconds that a sound has lasted when it is suspected: two good frames, and what they overlap."""
_LONGEST = 0.5
"""Seconds of a sound that are compared."""
_LOOKS = frozenset((5, 8, 11, 14, 17, 20))
"""Frames after the suspicion at which a sound is compared with what was played: the last but two come before
18 frames of it may confirm an interruption."""
_FIRST_LOOKS = frozenset((25, 45))
"""Frames of the bot's voice after which a microphone of which nothing is known is compared with it: before
the second is over in which a level guards it."""
_LOUDEST = -2.0
"""dB: what is as loud as the bot may be somebody who says the same with it, as a caller whose words a parrot
repeats. They go on when the bot falls silent; an echo does not, and comes back with the bot."""
_LATER = 25
"""A sound that goes on is compared again every half second."""


class Loudspeakers(Protocol):
    """Loudspeakers that may be near a microphone, as the microphone sees them."""

    @property
    def known(self) -> bool:
        """True if the bot's voice comes back from any, as far as is known."""
        ...

    def playing(self, at: float, suspected: bool, ring: Ring) -> EchoSource | None:
        """Estimator of the echo in the frame that ends at `at`, the newest of `ring`.

        Args:
            at: Media time, seconds.
            suspected: Whether a sound is being followed in the microphone.
            ring: The microphone's last frames.

        Returns:
            None where none is to be expected.
        """
        ...


class Loudspeaker:
    """Follows the loudspeaker near one microphone.

    Args:
        reference: What the bot says.
        sample_rate: Hz of the microphone.

    Attributes:
        guard: What is known of the echo.
    """

    def __init__(self, reference: EchoReference, sample_rate: int) -> None:
        self.guard = make_guard()
        self._reference = reference
        self._rate = sample_rate
        self._followed = 0
        self._recognised = False
        self._looked = 0
        self._loud: float | None = None

    @property
    def known(self) -> bool:
        """True if the bot's voice comes back, as far as is known."""
        return self.guard.delay is not None

    def playing(self, at: float, suspected: bool, ring: Ring) -> EchoSource | None:
        """Part of `Loudspeakers`."""
        if not suspected:
            self._followed = 0
        if self.guard.take_skip(suspected):
            return None
        window = self._reference.window(at)
        if window is None:
            return None
        if suspected:
            self._follow(at, ring)
        elif (untold := self.guard.untold) in _FIRST_LOOKS and untold != self._looked:
            self._looked = untold
            match = self._compare(at, _LONGEST, ring)
            if match is not None and match.level <= _LOUDEST:
                self.guard.learn(match)
        # Others may ask the reference before this frame is judged.
        return self.guard.frame(window)

    def _follow(self, at: float, ring: Ring) -> None:
        if not self._followed:
            self._recognised = False
            self.guard.suspect()
        self._followed += 1
        if self._followed % _LATER == 0 or (self._followed in _LOOKS and not self._recognised):
            match = self._compare(at, min(self._followed * FRAME_SECONDS + _BEFORE, _LONGEST), ring)
            if match is not None:
                self._recognise(match)

    def _recognise(self, match: EchoMatch) -> None:
        self._recognised = True
        before, self._loud = self._loud, None
        if match.level > _LOUDEST and (before is None or abs(before - match.delay) > FRAME_SECONDS):
            self._loud = match.delay
            return
        self.guard.learn(match)

    def _compare(self, at: float, seconds: float, ring: Ring) -> EchoMatch | None:
        frames = ring.since(at - seconds)
        if not frames:
            return None
        heard = np.concatenate(frames)
        played = self._reference.sound(at, len(heard) / self._rate + MAX_DELAY)
        return match_echo(heard, self._rate, played, self._reference.sample_rate)


class MixedLoudspeakers:
    """The loudspeakers of everybody in a mix, each with its own delay and loudness.

    Args:
        sample_rate: Hz of the microphones.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = round(WINDOW_SECONDS * sample_rate)
        self._meter = make_meter(self._size)
        self._expected: list[Echo] = []
        self._known = False

    @property
    def known(self) -> bool:
        """True if the bot's voice comes back to anybody, as far as is known."""
        return self._known

    def begin(self) -> None:
        """A frame of the mix begins: nothing is expected in it yet."""
        self._expected.clear()
        self._known = False

    def add(self, loudspeaker: Loudspeaker, at: float, suspected: bool, ring: Ring) -> None:
        """Take what one voice adds to the frame of the mix that ends at `at`: the newest of its `ring`.

        Args:
            loudspeaker: The one near that voice's microphone.
            at: Media time of the mix, seconds.
            suspected: Whether a sound is being followed in the mix that may be this voice's.
            ring: The voice's last frames, with media times of the mix.
        """
        source = loudspeaker.playing(at, suspected, ring)
        self._known = self._known or loudspeaker.known
        if source is None:
            return
        bands = self._meter.powers(ring.last(self._size))
        echo = source.expect(bands, voice_level(bands))
        if echo is not None:
            self._expected.append(echo)

    def playing(self, at: float, suspected: bool, ring: Ring) -> EchoSource | None:
        """Part of `Loudspeakers`."""
        return self if self._expected else None

    def expect(self, bands: Sequence[float], level: float) -> Echo | None:
        """Part of `audio.echo.EchoSource`: the sum of what is expected of each."""
        return Echo.sum(self._expected)
