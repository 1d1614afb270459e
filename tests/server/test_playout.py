"""Fishjam's rules for an agent's track, sample by sample."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.server.media.playout import Playout

RATE = 16000


def pcm(seconds: float, value: int = 1) -> bytes:
    return np.full(round(seconds * RATE), value, "<i2").tobytes()


def positions(playout: Playout, until: float) -> list[tuple[float, float]]:
    """Start and length, in seconds, of what is played before `until`."""
    segments = playout.play(round(until * RATE))
    return [(segment.position / RATE, len(segment.samples) / RATE) for segment in segments]


def test_audio_is_played_from_its_arrival_in_real_time() -> None:
    playout = Playout(RATE)
    playout.write(pcm(1.0), now=0.5)
    assert positions(playout, 0.5) == []
    assert positions(playout, 0.7) == [(0.5, 0.2)]
    assert positions(playout, 9.0) == [(0.7, 0.8)]
    assert playout.played_seconds == 1.0


def test_chunks_sent_ahead_are_played_one_after_the_other() -> None:
    playout = Playout(RATE)
    for _ in range(3):
        playout.write(pcm(0.2), now=0.0)
    assert positions(playout, 1.0) == [(0.0, 0.2), (0.2, 0.2), (0.4, 0.2)]


def test_a_chunk_up_to_100_ms_late_continues_the_timeline() -> None:
    playout = Playout(RATE)
    playout.write(pcm(0.2), now=0.0)
    positions(playout, 0.3)
    playout.write(pcm(0.2), now=0.3)
    assert positions(playout, 0.32) == [(0.2, 0.12)]


def test_a_later_chunk_restarts_the_timeline() -> None:
    playout = Playout(RATE)
    playout.write(pcm(0.2), now=0.0)
    playout.write(pcm(0.2), now=0.301)
    assert positions(playout, 1.0) == [(0.0, 0.2), (0.301, 0.2)]


def test_an_interrupt_lets_the_chunk_in_play_end_and_drops_the_rest() -> None:
    playout = Playout(RATE)
    for _ in range(5):
        playout.write(pcm(0.1), now=0.0)
    positions(playout, 0.14)
    cut = playout.interrupt(0.15)
    assert (cut.at, cut.played_seconds, cut.dropped_seconds) == (0.15, 0.2, 0.3)
    assert positions(playout, 9.0) == [(0.14, 0.06)]
    assert playout.played_seconds == cut.played_seconds
    assert list(playout.cuts) == [cut]


def test_an_interrupt_at_the_very_tick_keeps_the_begun_chunk() -> None:
    playout = Playout(RATE)
    playout.write(pcm(0.1), now=0.0)
    positions(playout, 0.02)
    assert playout.interrupt(0.02).played_seconds == 0.1


def test_an_interrupt_of_silence_changes_nothing() -> None:
    playout = Playout(RATE)
    assert playout.interrupt(1.0).played_seconds == 0.0
    playout.write(pcm(0.1), now=1.0)
    assert positions(playout, 2.0) == [(1.0, 0.1)]


def test_audio_after_an_interrupt_continues_where_the_last_chunk_ended() -> None:
    playout = Playout(RATE)
    for _ in range(5):
        playout.write(pcm(0.1), now=0.0)
    playout.interrupt(0.15)
    playout.write(pcm(0.1, value=7), now=0.16)
    assert positions(playout, 1.0) == [(0.0, 0.1), (0.1, 0.1), (0.2, 0.1)]
    assert playout.played_ranges == [(0, 3200), (8000, 9600)]


def test_the_queue_holds_ten_minutes() -> None:
    playout = Playout(RATE)
    minute = pcm(60.0)
    for _ in range(11):
        playout.write(minute, now=0.0)
    assert playout.overflowed == 60 * RATE
    assert playout.ends_at == 600.0


def test_odd_and_empty_chunks_do_no_harm() -> None:
    playout = Playout(RATE)
    playout.write(b"", now=0.0)
    playout.write(b"\x01", now=0.0)
    playout.write(b"\x01\x00\x02", now=0.0)
    assert playout.odd_chunks == 2
    assert [segment.samples.tolist() for segment in playout.play(RATE)] == [[1]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "interrupt", "play"]),
            st.floats(0.0, 0.3),
            st.integers(0, 4000),
        ),
        max_size=40,
    )
)
def test_what_is_played_is_what_was_received_and_not_cut(steps: list[tuple[str, float, int]]) -> None:
    playout = Playout(RATE)
    now, sent, heard = 0.0, 0, []
    end = 0
    for action, wait, count in steps:
        now += wait
        if action == "write":
            playout.write(np.arange(sent, sent + count, dtype=np.int32).astype("<i2").tobytes(), now)
            sent += count
        elif action == "interrupt":
            playout.interrupt(now)
        else:
            for segment in playout.play(round(now * RATE)):
                assert segment.position >= end
                end = segment.position + len(segment.samples)
                heard.append(segment.samples)
    heard += [segment.samples for segment in playout.play(2**40)]
    indices = [np.arange(start, stop) for start, stop in playout.played_ranges]
    expected = np.concatenate(indices).astype(np.int32).astype("<i2") if indices else np.empty(0)
    assert np.array_equal(np.concatenate(heard) if heard else np.empty(0), expected)
    assert playout.played == len(expected)
    assert all(
        before[1] < after[0]
        for before, after in zip(playout.played_ranges, playout.played_ranges[1:], strict=False)
    )
