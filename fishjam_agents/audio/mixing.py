"""Several voices in one signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents.audio.samples import Samples, saturate


def mix(signals: Sequence[Samples]) -> Samples:
    """The sum of int16 mono signals, saturating instead of wrapping around.

    Args:
        signals: Each of shape (n,); all start together, shorter ones are followed by silence.

    Returns:
        int16 mono, as long as the longest signal; empty when there is none.
    """
    total = np.zeros(max((len(signal) for signal in signals), default=0), np.int32)
    for signal in signals:
        total[: len(signal)] += signal
    return saturate(total)


_KNEE = 24576
"""Knee of `mix_softly`, -2.5 dBFS: two people at ordinary levels (-20 dBFS) stay below it."""


def mix_softly(signals: Sequence[Samples]) -> Samples:
    """The sum of int16 mono signals, bent above -2.5 dBFS so that it never reaches full scale's edge.

    Each sample beyond the knee k becomes k + (m - k) * tanh((|x| - k) / (m - k)), m = 32767: no state, no
    clicks between blocks, the same for any order of the signals. One signal alone is left as it is.

    Args:
        signals: Each of shape (n,); all start together, shorter ones are followed by silence.

    Returns:
        int16 mono, as long as the longest signal; empty when there is none.
    """
    if len(signals) == 1:
        return signals[0]
    total = np.zeros(max((len(signal) for signal in signals), default=0), np.int32)
    for signal in signals:
        total[: len(signal)] += signal
    size = np.abs(total)
    if not len(size) or size.max() <= _KNEE:
        return total.astype(np.int16)
    room = 32767 - _KNEE
    bent = _KNEE + room * np.tanh((size - _KNEE) / room)
    return np.where(size > _KNEE, np.sign(total) * bent, total).astype(np.int16)
