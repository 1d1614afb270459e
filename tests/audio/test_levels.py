import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fishjam_agents.audio.gain import amplify, dbfs, fade_in, fade_out
from fishjam_agents.audio.mixing import mix

signals = arrays(np.int16, st.integers(0, 60))


def test_level_is_the_rms_relative_to_full_scale():
    assert dbfs(np.full(100, -32768, np.int16)) == 0
    assert dbfs(np.full(100, 3277, np.int16)) == pytest.approx(-20, abs=0.01)
    assert dbfs(np.zeros(100, np.int16)) == dbfs(np.zeros(0, np.int16)) == -math.inf


def test_gain_changes_the_level_and_saturates():
    quiet = np.array([[100, -100], [50, -50]], np.int16)
    assert amplify(quiet, 20).tolist() == [[1000, -1000], [500, -500]]
    assert amplify(np.array([20000, -20000], np.int16), 12).tolist() == [32767, -32768]


@given(signals)
def test_fades_keep_length_and_never_make_louder(samples):
    for faded in (fade_in(samples), fade_out(samples)):
        assert faded.dtype == np.int16
        assert len(faded) == len(samples)
        assert (np.abs(faded.astype(int)) <= np.abs(samples.astype(int))).all()


def test_fades_reach_silence_at_one_end_and_full_level_at_the_other():
    samples = np.full(160, 10000, np.int16)
    assert fade_in(samples)[[0, -1]].tolist() == [0, 10000]
    assert fade_out(samples)[[0, -1]].tolist() == [10000, 0]
    assert (np.diff(fade_in(samples).astype(int)) >= 0).all()
    assert (fade_in(samples) + fade_out(samples) - 10000 <= 1).all()


@given(st.lists(signals, max_size=5))
def test_mix_is_the_saturated_sum(parts):
    length = max((len(part) for part in parts), default=0)
    wanted = np.zeros(length, int)
    for part in parts:
        wanted[: len(part)] += part
    mixed = mix(parts)
    assert mixed.dtype == np.int16
    np.testing.assert_array_equal(mixed, np.clip(wanted, -32768, 32767))
