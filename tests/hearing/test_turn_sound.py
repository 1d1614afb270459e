"""The last 8 s of a microphone in one piece."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.hearing.turn_sound import SECONDS, TurnSound

SIZE = round(SECONDS * 16000)


@given(st.lists(st.integers(0, 50_000), max_size=12), st.floats(-1, 10))
def test_what_is_kept_is_the_end_of_what_was_added(blocks: list[int], seconds: float) -> None:
    sound, heard = TurnSound(), np.empty(0, np.int16)
    for count in blocks:
        block = np.arange(len(heard), len(heard) + count).astype(np.int16)
        sound.append(block)
        heard = np.concatenate((heard, block))
    count = min(max(round(seconds * 16000), 0), len(heard), SIZE)
    assert np.array_equal(sound.last(seconds), heard[len(heard) - count :])


def test_nothing_of_before_is_left_after_a_new_beginning() -> None:
    sound = TurnSound()
    sound.append(np.ones(320, np.int16))
    sound.clear()
    assert len(sound.last(8.0)) == 0
    sound.append(np.full(320, 2, np.int16))
    assert sound.last(8.0).tolist() == [2] * 320


def test_what_was_taken_does_not_change_afterwards() -> None:
    sound = TurnSound()
    sound.append(np.ones(SIZE, np.int16))
    taken = sound.last(1.0)
    sound.append(np.zeros(SIZE, np.int16))
    assert taken.tolist() == [1] * 16000


def test_adding_a_frame_allocates_nothing() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    sound, frame = TurnSound(), np.ones(320, np.int16)
    for _ in range(500):
        sound.append(frame)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            sound.append(frame)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000
    assert peak - before < 4000
