from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.audio.samples import Samples
from fishjam_agents.devices.playout_queue import PlayoutQueue

RATE = 1000


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def chunk(first: int, size: int) -> Samples:
    return np.arange(first, first + size, dtype=np.int16)


def taken(queue: PlayoutQueue, size: int) -> list[int]:
    block = np.full(size, -1, np.int16)
    queue.take(block)
    return [int(each) for each in block]


def test_what_is_written_is_taken_once_and_in_order_and_silence_follows() -> None:
    queue = PlayoutQueue(RATE, Clock())
    queue.write(chunk(1, 3), 3)
    queue.write(chunk(4, 4), 4)
    assert taken(queue, 2) == [1, 2]
    assert queue.played == 2
    assert taken(queue, 4) == [3, 4, 5, 6]
    assert taken(queue, 4) == [7, 0, 0, 0]
    assert taken(queue, 2) == [0, 0]
    assert queue.played == 7
    assert queue.waiting == 0


def test_an_interrupt_drops_all_but_the_chunk_in_play() -> None:
    queue = PlayoutQueue(RATE, Clock())
    for first in (1, 11, 21):
        queue.write(chunk(first, 10), 10)
    taken(queue, 14)
    assert queue.interrupt() == 20
    queue.write(chunk(100, 2), 2)
    assert taken(queue, 10) == [15, 16, 17, 18, 19, 20, 100, 101, 0, 0]
    assert queue.played == 22


def test_an_interrupt_between_two_chunks_drops_everything() -> None:
    queue = PlayoutQueue(RATE, Clock())
    queue.write(chunk(1, 10), 10)
    queue.write(chunk(11, 10), 10)
    taken(queue, 10)
    assert queue.interrupt() == 10
    assert taken(queue, 3) == [0, 0, 0]
    assert queue.played == 10


def test_samples_are_counted_at_the_rate_of_the_track() -> None:
    queue = PlayoutQueue(RATE, Clock())
    queue.write(chunk(1, 30), 10)
    taken(queue, 15)
    assert queue.played == 5
    assert queue.interrupt() == 10
    taken(queue, 15)
    assert queue.played == 10


def test_a_chunk_begins_where_what_waits_ends() -> None:
    clock = Clock()
    queue = PlayoutQueue(RATE, clock)
    assert queue.begin() == 0.0
    queue.write(chunk(1, 100), 100)
    assert queue.begin() == pytest.approx(0.1)
    taken(queue, 10)
    assert queue.begin() == pytest.approx(0.1)
    clock.now = 0.01
    taken(queue, 10)
    assert queue.begin() == pytest.approx(0.1)


def test_a_device_that_no_longer_asks_lets_the_end_recede() -> None:
    clock = Clock()
    queue = PlayoutQueue(RATE, clock)
    queue.write(chunk(1, 100), 100)
    taken(queue, 10)
    clock.now = 5.0
    assert queue.begin() == pytest.approx(5.09)


def test_a_device_that_asks_for_several_blocks_at_once_is_not_fast() -> None:
    clock = Clock()
    queue = PlayoutQueue(RATE, clock)
    for _ in range(3):
        taken(queue, 20)
    assert queue.begin() == pytest.approx(0.06, abs=0.006)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 40)),
            st.tuples(st.just("take"), st.integers(1, 40)),
            st.tuples(st.just("cut"), st.just(0)),
        )
    )
)
def test_what_is_played_is_what_was_counted(actions: Sequence[tuple[str, int]]) -> None:
    queue = PlayoutQueue(RATE, Clock())
    heard: list[int] = []
    position = 1
    for action, size in actions:
        if action == "write":
            queue.write(chunk(position, size), size)
            position += size
        elif action == "take":
            heard += [each for each in taken(queue, size) if each]
            assert queue.played == len(heard)
        else:
            promised = queue.interrupt()
            assert 0 <= promised - len(heard) == round(queue.waiting * RATE)
    assert heard == sorted(set(heard))


def test_two_threads_lose_and_repeat_nothing() -> None:
    queue = PlayoutQueue(RATE, Clock())
    heard: list[Samples] = []
    done = threading.Event()

    def device() -> None:
        while not (done.is_set() and queue.waiting == 0):
            block = np.zeros(7, np.int16)
            queue.take(block)
            heard.append(block[block != 0])

    thread = threading.Thread(target=device)
    thread.start()
    for first in range(1, 20001, 20):
        queue.write(chunk(first, 20), 20)
    done.set()
    thread.join(10)
    assert np.array_equal(np.concatenate(heard), np.arange(1, 20001))
    assert queue.played == 20000
