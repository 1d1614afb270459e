"""The last moments of a microphone, so that a turn can begin before it was noticed."""

from __future__ import annotations

from collections import deque

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.samples import Samples

SECONDS = 1.3
"""Pre-roll (at most 0.5 s), confirm time (0.34 s) and a hesitant onset in between."""


class Ring:
    """20 ms frames of the last `SECONDS`, each with the media time at which it ends."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: deque[tuple[float, Samples]] = deque(maxlen=round(SECONDS * FRAMES_PER_SECOND))

    def append(self, end: float, frame: Samples) -> None:
        """Keep a frame; the oldest goes."""
        self._frames.append((end, frame))

    def since(self, start: float) -> list[Samples]:
        """Frames of which any part lies after `start`, oldest first."""
        return [frame for _, frame in self.timed(start)]

    def timed(self, start: float) -> list[tuple[float, Samples]]:
        """The same, each with the media time at which it ends."""
        return [(end, frame) for end, frame in self._frames if end > start + 1e-6]

    def last(self, samples: int) -> Samples:
        """The last samples: int16 mono, shape (samples,), zeros before the first frame."""
        pieces: list[Samples] = []
        missing = samples
        for _, frame in reversed(self._frames):
            pieces.append(frame[-missing:])
            missing -= len(pieces[-1])
            if not missing:
                break
        if missing:
            pieces.append(np.zeros(missing, np.int16))
        return np.concatenate(pieces[::-1])

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
