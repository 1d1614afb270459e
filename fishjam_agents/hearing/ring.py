"""The last moments of a microphone, so that a turn can begin before it was noticed."""

from __future__ import annotations

from array import array

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.samples import Samples

SECONDS = 1.3
"""Pre-roll (0.3 s, at most 0.5), confirm time (0.34 s) and in between a hesitant onset, or a soft beginning
(`NearVoice.lead`, at most 0.64 s)."""

UNTIL_SUSPECTED = 1.1
"""Seconds that are enough where a sound is handed over when it is suspected, not when it is confirmed: 0.1 s
before its onset, which may be 1 s ago where it was taken for noise at first (`turns.machine`)."""


def _samples(frame: Samples | bytes) -> Samples:
    return frame if isinstance(frame, np.ndarray) else np.frombuffer(frame, np.int16)


class Ring:
    """20 ms frames of the last moments, each with the media time at which it ends.

    Frames are kept as they come, not copied: whoever else keeps one shares it. A packet that is one frame is
    kept as its bytes, a seventh less: nearly all go without having been asked for.

    Args:
        seconds: How long they are kept.
    """

    __slots__ = ("_ends", "_frames", "_kept", "_next")

    def __init__(self, seconds: float = SECONDS) -> None:
        self._kept = round(seconds * FRAMES_PER_SECOND)
        self._frames: list[Samples | bytes] = []
        self._ends = array("d")
        self._next = 0

    def append(self, end: float, frame: Samples | bytes) -> None:
        """Keep a frame, or the 16-bit little-endian PCM that it is; the oldest goes."""
        frames, at = self._frames, self._next
        if len(frames) < self._kept:
            frames.append(frame)
            self._ends.append(end)
        else:
            frames[at] = frame
            self._ends[at] = end
        self._next = at + 1 if at + 1 < self._kept else 0

    def since(self, start: float) -> list[Samples]:
        """Frames of which any part lies after `start`, oldest first."""
        return [frame for _, frame in self.timed(start)]

    def timed(self, start: float) -> list[tuple[float, Samples]]:
        """The same, each with the media time at which it ends."""
        frames, ends, oldest = self._frames, self._ends, self._next
        ordered = zip(ends[oldest:] + ends[:oldest], frames[oldest:] + frames[:oldest], strict=True)
        return [(end, _samples(frame)) for end, frame in ordered if end > start + 1e-6]

    def last(self, samples: int) -> Samples:
        """The last samples: int16 mono, shape (samples,), zeros before the first frame."""
        pieces: list[Samples] = []
        missing = samples
        for back in range(1, len(self._frames) + 1):
            # Of what is not full yet the newest is the last one as well.
            frame = _samples(self._frames[self._next - back])
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
        del self._ends[:]
        self._next = 0
