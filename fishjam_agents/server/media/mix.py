"""A sum of sounds on one time line, kept at the price of one track however many there are in it."""

from __future__ import annotations

from collections.abc import Iterator

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

    def samples(self, length: int) -> Samples:
        """The first `length` samples, int16, shape (length, channels); gaps are zeros."""
        whole = np.zeros((length, self._channels), np.int16)
        for index in (*self._closed, *self._open):
            start = index * _BLOCK
            whole[start : start + _BLOCK] = self._block(index)[: max(length - start, 0)]
        return whole

    def seconds(self, length: int, first: int = 0) -> Iterator[Samples]:
        """The samples up to `length` a second at a time, int16, shape (n, channels); gaps are zeros.

        Args:
            length: Samples from the beginning on.
            first: The second to begin with.
        """
        for index in range(first, -(-length // _BLOCK)):
            yield self._block(index)[: length - index * _BLOCK]

    def _block(self, index: int) -> Samples:
        if index in self._open:
            return saturate(self._open[index])
        closed = self._closed.get(index)
        return np.zeros((_BLOCK, self._channels), np.int16) if closed is None else closed

    def copy(self) -> Mix:
        """Copy of the present content: cheap, since seconds that are complete are shared."""
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
