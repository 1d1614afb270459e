"""Several voices in one signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fishjam_agents.audio.samples import Samples


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
    return np.clip(total, -32768, 32767).astype(np.int16)
