"""Points at which speech can be resumed: the dips in its energy, between words and syllables."""

from __future__ import annotations

import numpy as np

from fishjam_agents.audio.samples import Samples

_WINDOW = 0.02
"""Seconds over which energy is measured: more than one period of the lowest voice, less than a syllable."""
_HOP = 0.01
_DEPTH = 15.0
"""Depth of a dip below the loudest moment, dB. Pauses between words lie 20 dB and more below."""


def back_to_dip(samples: Samples, sample_rate: int) -> int:
    """Return how far before their end speech is best resumed.

    Args:
        samples: What came before a cut, int16 mono, shape (n,).
        sample_rate: Hz.

    Returns:
        Samples to go back, 0 to n: to the nearest moment that is 15 dB below the loudest; to the quietest
        where there is none. All of it where it is shorter than 20 ms.
    """
    window, hop = round(_WINDOW * sample_rate), round(_HOP * sample_rate)
    if len(samples) < window:
        return len(samples)
    squares = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    ends = np.arange(len(samples), window - 1, -hop)
    energies = squares[ends] - squares[ends - window]
    deep = np.flatnonzero(energies * 10 ** (_DEPTH / 10) <= energies.max())
    nearest = int(deep[0]) if len(deep) else int(energies.argmin())
    return len(samples) - int(ends[nearest]) + window // 2
