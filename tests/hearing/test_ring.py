"""The ring gives what a list of all frames would give, of the last moments."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.hearing.ring import SECONDS, UNTIL_SUSPECTED, Ring

KEPT = round(SECONDS * 50)


@given(
    st.integers(0, 3 * KEPT),
    st.integers(0, 3 * KEPT),
    st.integers(1, 2000),
    st.floats(-1, 5),
    st.sampled_from([SECONDS, UNTIL_SUSPECTED]),
)
def test_it_gives_the_last_frames(
    before: int, after: int, samples: int, start: float, seconds: float
) -> None:
    ring = Ring(seconds)
    for number in range(before):
        ring.append(number * 0.02, np.full(320, -1, np.int16))
    ring.clear()
    frames = [np.arange(number * 3, number * 3 + 320, dtype=np.int16) for number in range(after)]
    ends = [0.02 * number for number in range(after)]
    for end, frame in zip(ends, frames, strict=True):
        ring.append(end, frame)
    kept = list(zip(ends, frames, strict=True))[-round(seconds * 50) :]
    expected = [(end, frame) for end, frame in kept if end > start + 1e-6]
    timed = ring.timed(start)
    assert [end for end, _ in timed] == [end for end, _ in expected]
    # No copies: a frame that a turn keeps as well is there once.
    assert all(got is frame for (_, got), (_, frame) in zip(timed, expected, strict=True))
    assert all(got is frame for got, (_, frame) in zip(ring.since(start), expected, strict=True))
    packets = Ring(seconds)
    for end, frame in zip(ends, frames, strict=True):
        packets.append(end, frame.astype("<i2").tobytes())
    for (end, got), (at, frame) in zip(packets.timed(start), expected, strict=True):
        assert end == at
        np.testing.assert_array_equal(got, frame)
    np.testing.assert_array_equal(packets.last(samples), ring.last(samples))
    said = np.concatenate([np.zeros(samples, np.int16), *(frame for _, frame in kept)])
    np.testing.assert_array_equal(ring.last(samples), said[-samples:])
