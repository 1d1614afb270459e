"""Cutting a stream of audio into frames of one size."""

from __future__ import annotations

import numpy as np

from fishjam_agents.audio.samples import Samples

_NOTHING: Samples = np.empty(0, np.int16)


class Reblocker:
    """Chunks of any length in, frames of exactly `samples` samples out; the rest is carried over.

    Args:
        samples: Length of a frame in samples, for example 320 for 20 ms at 16 kHz.

    Attributes:
        samples: Length of a frame.
        carried: Samples that wait for the next chunk.

    Raises:
        ValueError: `samples` is not positive.
    """

    __slots__ = ("_carry", "carried", "samples")

    def __init__(self, samples: int) -> None:
        if samples <= 0:
            raise ValueError(f"a frame needs a positive number of samples, not {samples}")
        self.samples = samples
        # Most streams come in whole frames, and carry nothing.
        self._carry: Samples = _NOTHING
        self.carried = 0

    def process(self, chunk: Samples) -> list[Samples]:
        """Take int16 mono of shape (n,), return the frames it completes, each of shape (samples,).

        Frames are views of `chunk` wherever they lie wholly inside it: a chunk that is one frame comes
        back as itself.
        """
        size = self.samples
        length = len(chunk)
        if length == size and not self.carried:
            return [chunk]
        frames: list[Samples] = []
        start = 0
        if self.carried:
            start = min(size - self.carried, length)
            self._carry[self.carried : self.carried + start] = chunk[:start]
            self.carried += start
            if self.carried < size:
                return frames
            frames.append(self._carry)
            self._carry = _NOTHING
        while start + size <= length:
            frames.append(chunk[start : start + size])
            start += size
        self.carried = length - start
        if self.carried:
            if not len(self._carry):
                self._carry = np.empty(size, np.int16)
            self._carry[: self.carried] = chunk[start:]
        return frames

    def clear(self) -> None:
        """Forget what is carried."""
        self.carried = 0
