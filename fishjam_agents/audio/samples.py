"""The one array type that audio has inside this package."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Signed 16-bit samples: mono of shape (n,), or stereo of shape (n, 2)."""
