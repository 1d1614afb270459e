"""The one array type that audio has inside this package."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Signed 16-bit samples: mono of shape (n,), or stereo of shape (n, 2)."""

FULL_SCALE = 32768
"""0 dBFS as a sample value: the root mean square of a square wave that uses all of int16. Dividing by it is
exact, since it is a power of two."""


def saturate(values: npt.NDArray[Any]) -> Samples:
    """Clip whole numbers to what int16 holds; same shape."""
    return values.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def is_mono(value: object) -> TypeGuard[Samples]:
    """Return whether a value is int16 mono, shape (n,): floats would be played as silence or noise."""
    return isinstance(value, np.ndarray) and value.dtype == np.int16 and value.ndim == 1
