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
        keep: Seconds that are kept, the latest, to a second; None keeps all.
    """

    def __init__(self, channels: int = 1, keep: int | None = None) -> None:
        self._channels = channels
        self._keep = keep
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

    def samples(self, length: int, first: int = 0) -> Samples:
        """The samples from `first` up to `length`, int16, shape (length - first, channels); gaps are zeros.

        Args:
            length: The sample behind the last one.
            first: The first one, at the beginning of a second.
        """
        whole = np.zeros((max(length - first, 0), self._channels), np.int16)
        for index in (*self._closed, *self._open):
            start = index * _BLOCK - first
            if 0 <= start < len(whole):
                block = self._closed[index] if index in self._closed else saturate(self._open[index])
                whole[start : start + _BLOCK] = block[: len(whole) - start]
        return whole

    def copy(self) -> Mix:
        """What it holds now: cheap, since seconds that are complete are shared."""
        copied = Mix(self._channels, self._keep)
        copied._closed = dict(self._closed)
        copied._open = {index: block.copy() for index, block in self._open.items()}
        return copied

    def _new_block(self, index: int) -> NDArray[np.int32]:
        closed = self._closed.pop(index, None)
        block = np.zeros((_BLOCK, self._channels), np.int32) if closed is None else closed.astype(np.int32)
        self._open[index] = block
        for old in [known for known in self._open if known <= index - _OPEN_BLOCKS]:
            self._closed[old] = saturate(self._open.pop(old))
        if self._keep is not None:
            for old in [known for known in self._closed if known < index - self._keep]:
                del self._closed[old]
        return block
