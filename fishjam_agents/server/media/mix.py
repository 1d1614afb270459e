"""A sum of sounds on one time line, kept at the price of one track however many there are in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...audio.samples import Samples, saturate

RECORDING_RATE = 16000
"""Sample rate of recordings, Hz."""

_BLOCK = RECORDING_RATE
"""Samples that are kept and closed together: a second."""

_OPEN_BLOCKS = 5
"""Age, in blocks, at which a block is taken for complete. Sound comes late by a tenth of a second at most;
what is later still is added to what was saturated already."""


class Mix:
    """Sum of sounds on one time line, saturated where it is too loud.

    A second in which something sounds costs 32 kB per channel, one in which nothing does costs nothing.

    Args:
        channels: How many.
    """

    def __init__(self, channels: int = 1) -> None:
        self._channels = channels
        self._open: dict[int, NDArray[np.int32]] = {}
        self._closed: dict[int, Samples] = {}

    def add(self, at: int, samples: Samples, channel: int = 0) -> None:
        """Add int16 samples, shape (n,), from sample `at` on; what lies before sample 0 is left out."""
        if at < 0:
            samples, at = samples[-at:], 0
        while len(samples):
            index, start = divmod(at, _BLOCK)
            part = samples[: _BLOCK - start]
            block = self._open.get(index)
            if block is None:
                block = self._new_block(index)
            block[start : start + len(part), channel] += part
            at += len(part)
            samples = samples[len(part) :]

    def samples(self, length: int) -> Samples:
        """The first `length` samples, int16, shape (length, channels); gaps are zeros."""
        whole = np.zeros((length, self._channels), np.int16)
        for index in (*self._closed, *self._open):
            block = self._closed[index] if index in self._closed else saturate(self._open[index])
            start = index * _BLOCK
            whole[start : start + _BLOCK] = block[: max(length - start, 0)]
        return whole

    def _new_block(self, index: int) -> NDArray[np.int32]:
        closed = self._closed.pop(index, None)
        block = np.zeros((_BLOCK, self._channels), np.int32) if closed is None else closed.astype(np.int32)
        self._open[index] = block
        for old in [known for known in self._open if known <= index - _OPEN_BLOCKS]:
            self._closed[old] = saturate(self._open.pop(old))
        return block
