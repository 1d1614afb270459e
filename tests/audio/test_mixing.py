from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fishjam_agents.audio.mixing import mix_softly

signals = st.lists(arrays(np.int16, st.integers(0, 50)), min_size=2, max_size=4)


@given(signals)
def test_a_soft_mix_is_the_sum_below_the_knee_and_never_wraps_or_leaves_the_range(parts: list) -> None:
    total = np.zeros(max(len(part) for part in parts), np.int64)
    for part in parts:
        total[: len(part)] += part
    mixed = mix_softly(parts).astype(np.int64)
    assert mix_softly(parts).dtype == np.int16
    low = np.abs(total) <= 24576
    assert (mixed[low] == total[low]).all()
    assert (np.abs(mixed) <= 32767).all()
    assert (np.sign(mixed) == np.sign(total)).all()
    order = np.argsort(total, kind="stable")
    assert (np.diff(mixed[order]) >= 0).all(), "louder stays louder"


@given(arrays(np.int16, 20))
def test_one_voice_alone_is_left_as_it_is(voice: np.ndarray) -> None:
    assert (mix_softly([voice]) == voice).all()


def test_nothing_is_mixed_of_nothing() -> None:
    assert len(mix_softly([])) == 0
