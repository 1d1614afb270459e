"""Thinned voice detection: near its capacity, a process judges one frame in four of a silent microphone.

What is louder than the silence before it is judged at once, so that no onset comes late that stands out of
the noise; what does not, up to 60 ms late.
"""

from __future__ import annotations

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
    """Switch of thinned detection: one for all microphones of a process, set by who measures its load.

    Attributes:
        active: Whether detection is thinned.
    """

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active = False


class Silence:
    """The silence of one microphone: which of its frames need not be judged. Pure.

    `judged` is told of every frame that is judged: those for which `repeats` gave nothing, and those about
    which it was not asked, because they are judged in any case.
    """

    __slots__ = ("_decision", "_energy", "_frames", "_loudest", "_skipped")

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """Forget it: a sound is followed, or what comes next is unrelated."""
        self._decision: Decision | None = None
        self._energy = 0.0
        self._loudest = 0.0
        self._frames = 0
        self._skipped = 0

    def repeats(self, frame: Samples) -> Decision | None:
        """Return the decision that holds for a frame, too; None where it must be judged.

        Args:
            frame: int16 mono at 16 kHz, shape (320,).
        """
        wide = frame.astype(np.float32)
        energy = float(wide @ wide)
        if (
            self._frames < SETTLED
            or self._skipped == SKIPPED
            or energy > LOUDER * self._loudest
            or self._decision is None
        ):
            self._energy = energy
            return None
        self._skipped += 1
        return self._decision

    def judged(self, decision: Decision) -> None:
        """Take the decision about a frame; its energy is known if `repeats` was asked about it."""
        if decision.voiced or decision.tail:
            self.end()
            return
        self._frames += 1
        self._skipped = 0
        self._loudest = max(self._energy, _KEPT * self._loudest)
        self._energy = 0.0
        self._decision = decision
