"""Parameters of a category: the detector, the seed, and how much to measure."""

from __future__ import annotations

from dataclasses import dataclass

from audio_fixtures.corpus import rng_for
from quality.microphone import Vad
from quality.sounds import Rng

SPEECH_LEVELS = (-40.0, -20.0)
"""dBFS between which people speak, while they do: the levels of the onset budget."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run.

    Attributes:
        vad: What is measured.
        seed: Chooses every voice, level, time and noise.
        quick: Whether a fraction will do: shows that it works, not how well.
    """

    vad: Vad
    seed: int
    quick: bool = False

    def rng(self, *names: object) -> Rng:
        """Random numbers for one purpose."""
        return rng_for(self.seed, *names)

    def amount(self, full: int, quick: int) -> int:
        """Return how many of something to measure."""
        return quick if self.quick else full
