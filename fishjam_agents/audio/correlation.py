"""Cross-correlation of rows of whole numbers: exact, and a fraction of the price of one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

_BLOCK = 8
"""Samples of a block; 4 to 16 cost about the same."""

_Doubles = npt.NDArray[np.float64]


class RowCorrelation:
    """Correlation of each of up to `rows` signals with another one, at some lags.

    A signal is cut into blocks, and beside each block lies, as a row of a matrix, what is to be compared with
    it. One product of two matrices then has all products of two samples, summed over the blocks, and the sums
    along its diagonals are the correlation. Whole numbers stay exact as long as no sum reaches 2**53.

    Args:
        rows: The most.
        length: Samples that are summed over.
        lags: Their number.
    """

    def __init__(self, rows: int, length: int, lags: int) -> None:
        blocks = -(-length // _BLOCK)
        beside = _BLOCK + lags - 1
        self._length = length
        self._signal: _Doubles = np.zeros((rows, blocks * _BLOCK))
        self._other: _Doubles = np.zeros((rows, blocks * _BLOCK + lags - 1))
        self._beside: _Doubles = np.empty((rows, blocks, beside))
        self._sums: _Doubles = np.empty((rows, _BLOCK, beside))
        self._blocks = self._signal.reshape(rows, blocks, _BLOCK).transpose(0, 2, 1)
        row, sample = self._other.strides
        self._overlapping = as_strided(self._other, (rows, blocks, beside), (row, _BLOCK * sample, sample))
        row, line, column = self._sums.strides
        self._diagonals = as_strided(self._sums, (rows, _BLOCK, lags), (row, line + column, column))

    def products(self, other: _Doubles, signal: _Doubles) -> _Doubles:
        """Sums of products, as `np.correlate(other, signal, "valid")` gives them for each row.

        Args:
            other: Shape (n, length + lags - 1).
            signal: Shape (n, length).

        Returns:
            Shape (n, lags).
        """
        count = len(signal)
        self._signal[:count, : self._length] = signal
        self._other[:count, : other.shape[1]] = other
        np.copyto(self._beside[:count], self._overlapping[:count])
        np.matmul(self._blocks[:count], self._beside[:count], out=self._sums[:count])
        result: _Doubles = np.add.reduce(self._diagonals[:count], axis=1)
        return result
