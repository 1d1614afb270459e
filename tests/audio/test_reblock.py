import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.audio.reblock import Reblocker


@given(size=st.integers(1, 50), lengths=st.lists(st.integers(0, 200), max_size=20))
def test_frames_are_exact_and_nothing_is_lost_or_reordered(size, lengths):
    samples = np.arange(sum(lengths), dtype=np.int16)
    reblocker = Reblocker(size)
    frames = [
        frame for piece in np.split(samples, np.cumsum(lengths)[:-1]) for frame in reblocker.process(piece)
    ]
    assert all(frame.shape == (size,) and frame.dtype == np.int16 for frame in frames)
    joined = np.concatenate(frames) if frames else samples[:0]
    np.testing.assert_array_equal(joined, samples[: len(joined)])
    assert reblocker.carried == len(samples) - len(joined) < size


def test_a_chunk_that_is_one_frame_is_not_copied():
    chunk = np.arange(320, dtype=np.int16)
    assert Reblocker(320).process(chunk)[0] is chunk


def test_frames_inside_a_chunk_are_views_of_it():
    chunk = np.arange(10, dtype=np.int16)
    reblocker = Reblocker(4)
    reblocker.process(chunk[:2])
    first, second = reblocker.process(chunk[2:])
    assert not np.shares_memory(first, chunk)
    assert np.shares_memory(second, chunk)


def test_a_frame_given_out_is_not_overwritten_by_the_next():
    reblocker = Reblocker(4)
    ones, twos = np.full(3, 1, np.int16), np.full(3, 2, np.int16)
    reblocker.process(ones)
    (frame,) = reblocker.process(ones)
    kept = frame.copy()
    reblocker.process(twos)
    np.testing.assert_array_equal(frame, kept)


def test_clear_forgets_the_carry():
    reblocker = Reblocker(4)
    reblocker.process(np.ones(3, np.int16))
    reblocker.clear()
    assert reblocker.carried == 0
    assert reblocker.process(np.full(4, 7, np.int16))[0].tolist() == [7, 7, 7, 7]


def test_a_frame_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Reblocker(0)
