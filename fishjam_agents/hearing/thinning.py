"""Thinned voice detection: near its capacity, a process judges one frame in four of a silent microphone.

What is louder than the silence before it is judged at once, so that no onset comes late that stands out of
the noise; what does not, up to 60 ms late.
"""

from __future__ import annotations

import math

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision

SKIPPED = 3
"""Frames in a row that are not judged."""
SETTLED = 25
"""Frames in a row, half a second, that must have been silence before one is skipped."""
LOUDER = 1.6
"""Ratio of energies, 2 dB, by which a frame stands out."""
_KEPT = 0.97
"""Share of the loudest silence that is kept with each judged frame."""


class Thinning:
    """Whether detection is thinned. One for all microphones of a process, set by who measures its load.

    Attributes:
        active: Whether it is.
    """

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = False


class Silence:
    """The silence of one microphone: which of its frames need not be judged. Pure.

    For each frame `repeats` is asked, and where it gives nothing, `judged` is told.
    """

    __slots__ = ("_decision", "_energy", "_frames", "_loudest", "_skipped")

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """Forget it: a sound is followed, or what comes next is unrelated."""
        self._decision: Decision | None = None
        self._energy = math.inf
        self._loudest = 0.0
        self._frames = 0
        self._skipped = 0

    def repeats(self, frame: Samples) -> Decision | None:
        """Return the decision that holds for a frame, too; None where it must be judged.

        Args:
            frame: int16 mono at 16 kHz, shape (320,).
        """
        wide = frame.astype(np.float32)
        self._energy = float(wide @ wide)
        if (
            self._frames < SETTLED
            or self._skipped == SKIPPED
            or self._energy > LOUDER * self._loudest
            or self._decision is None
        ):
            return None
        self._skipped += 1
        return self._decision

    def judged(self, decision: Decision) -> None:
        """Take the decision about the frame that `repeats` was asked about last."""
        if decision.voiced or decision.tail:
            self.end()
            return
        self._frames += 1
        self._skipped = 0
        self._loudest = max(self._energy, _KEPT * self._loudest)
        self._decision = decision
