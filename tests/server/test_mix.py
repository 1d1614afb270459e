"""Recordings are sums: as long as the call, however many speak in it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.audio.wav import Clip
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.server.callers import Caller
from fishjam_agents.server.media.clock import RoomClock
from fishjam_agents.server.media.microphone import PreparedClip
from fishjam_agents.server.media.mix import RECORDING_RATE, Mix
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType

PIECES = st.lists(
    st.tuples(
        st.integers(-4000, 60_000), st.integers(0, 40_000), st.integers(-32768, 32767), st.integers(0, 1)
    ),
    max_size=12,
)


@given(PIECES, st.integers(0, 90_000))
def test_a_mix_is_the_sum_of_its_sounds(pieces: list[tuple[int, int, int, int]], length: int) -> None:
    mix = Mix(2)
    expected = np.zeros((110_000, 2), np.int32)
    for at, count, level, channel in pieces:
        mix.add(at, np.full(count, level, np.int16), channel)
        expected[max(at, 0) : max(at + count, 0), channel] += level
    heard = mix.samples(length)
    assert heard.dtype == np.int16
    assert np.array_equal(heard, np.clip(expected[:length], -32768, 32767))


@given(PIECES, st.integers(0, 110_000), st.integers(0, 7))
def test_a_mix_is_read_a_second_at_a_time(
    pieces: list[tuple[int, int, int, int]], length: int, first: int
) -> None:
    mix = Mix(2)
    for at, count, level, channel in pieces:
        mix.add(at, np.full(count, level, np.int16), channel)
    whole = mix.samples(length)[first * RECORDING_RATE :]
    taken = mix.copy()
    # What comes later is in no copy.
    mix.add(0, np.full(110_000, 5, np.int16))
    read = list(taken.seconds(length, first))
    assert all(0 < len(piece) <= RECORDING_RATE for piece in read)
    assert np.array_equal(np.concatenate([np.zeros((0, 2), np.int16), *read]), whole)


def test_a_mix_keeps_no_more_than_its_latest_seconds() -> None:
    def add_hours(mix: Mix, seconds: int) -> None:
        for second in range(seconds):
            mix.add(second * RECORDING_RATE, np.full(RECORDING_RATE, second % 100, np.int16))

    mix = Mix(2, keep=10)
    add_hours(mix, 15)
    tracemalloc.start()
    add_hours(mix, 300)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # As much as before, in other seconds, and the few that are still open.
    assert grown < 20 * RECORDING_RATE * 2 * 4
    levels = [int(piece[0, 0]) for piece in mix.seconds(300 * RECORDING_RATE, 290)]
    assert levels == [second % 100 for second in range(290, 300)]


def test_the_latest_sound_of_a_room_is_taken_while_the_recording_goes_on() -> None:
    rooms = Rooms()
    room = rooms.create()
    caller = Caller(room, room.add_peer(PeerConfig(PeerType.WEBRTC)), RoomClock())
    caller.join()
    caller.microphone.schedule(PreparedClip(Clip(np.full(16000 * 8, 3, np.int16), 16000)), 0)
    recorder = room.record(1.0, keep=2)
    for ticks in range(1, 301):
        rooms.tick(ticks)
    recent = recorder.recent(6.0)
    assert (recent.start, recent.duration) == (4.0, 2.0)
    sound = np.concatenate(list(recent.seconds()))
    assert sound.shape == (32000, 2)
    assert sound[:, 0].tolist() == [3] * 32000
    assert not sound[:, 1].any()
    for ticks in range(301, 326):
        rooms.tick(ticks)
    later = recorder.recent(6.5)
    assert (later.start, later.duration) == (4.0, 2.5)
    assert len(np.concatenate(list(later.seconds()))) == later.samples == 40000
    assert recorder.recent(0.5).samples == 0


def test_what_comes_after_a_second_was_closed_is_added_all_the_same() -> None:
    mix = Mix()
    mix.add(0, np.full(100, 7, np.int16))
    mix.add(100 * RECORDING_RATE, np.full(100, 7, np.int16))
    mix.add(50, np.full(100, 1, np.int16))
    assert mix.samples(200)[:, 0].tolist() == [7] * 50 + [8] * 50 + [1] * 50 + [0] * 50


def test_a_recording_costs_memory_by_its_length_and_not_by_its_peers() -> None:
    seconds, peers = 20, 40
    rooms = Rooms()
    room = rooms.create()
    clip = PreparedClip(Clip(np.full(seconds * 16000, 3, np.int16), 16000))
    clip.at_rate(RECORDING_RATE)
    callers = [Caller(room, room.add_peer(PeerConfig(PeerType.WEBRTC)), RoomClock()) for _ in range(peers)]
    for caller in callers:
        caller.join()
        caller.microphone.schedule(clip, 0)
    recorder = room.record(0.0, [callers[0].id])
    sums = []
    tap = room.tap(0.0, lambda _, at, samples: sums.append(len(samples)))
    tap.detach()
    room.tick(1)
    tracemalloc.start()
    try:
        for ticks in range(2, seconds * 50 + 1):
            room.tick(ticks)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sums == []
    # Three channels of int16 for the whole time, and of int32 for the last seconds.
    assert kept < 3 * 2 * seconds * RECORDING_RATE + 3 * 4 * 6 * RECORDING_RATE + 500_000
    recording = recorder.stop(float(seconds))
    assert set(np.unique(recording.room[:, 0])) == {3 * peers}
    assert set(np.unique(recording.heard(callers[0].id))) == {3 * (peers - 1)}
    with pytest.raises(FishjamAgentsError, match="name it in `views`"):
        recording.heard(callers[1].id)
