from __future__ import annotations

import numpy as np

from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import Decision
from fishjam_agents.turns.settings import TurnSettings
from quality.microphone import Vad


class Loud:
    """A detector whose mistakes are known: speech is a frame that has a sample in it."""

    def feed(self, frame: Samples, *_: object) -> Decision:
        loud = bool(np.any(frame))
        return Decision(3.0 if loud else -3.0, loud, False, 0.0, -100.0, 20.0)


LOUD = Vad("loud", Loud, 4.0, TurnSettings())
