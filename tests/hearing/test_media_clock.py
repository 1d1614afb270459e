"""Media time is call time, as far behind as packets are late, however many are lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.hearing.media_clock import JITTER, MediaClock
from fishjam_agents.hearing.microphone import QUIET_AFTER
from tests.hearing.test_microphone import Listener

RATE = 16000
PACKET = 320


def arrivals(
    seconds: float, *, loss: float = 0.0, drift: float = 0.0, jitter: float = 0.0, seed: int = 1
) -> Iterator[tuple[float, float]]:
    """When the sound of each packet that comes was over, by call time, and when it arrives."""
    rng = np.random.default_rng(seed)
    came = 0.0
    for number in range(1, round(seconds * 50) + 1):
        said = number * 0.02 * (1 - drift)
        came = max(came, said + float(rng.uniform(0, jitter)))
        if rng.random() >= loss:
            yield said, came


def behind(clock: MediaClock, packets: Iterator[tuple[float, float]]) -> list[float]:
    """How far media time is behind what was said, after each packet."""
    distances = []
    for number, (said, now) in enumerate(packets):
        if not number:
            clock.begin(now - 0.02)
        before = clock.media
        clock.heard(PACKET, now)
        clock.received(PACKET, now)
        assert before <= clock.media <= now + 1e-9
        distances.append(said - clock.media)
    return distances


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("jitter", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("drift", [-300e-6, -100e-6, 0.0, 100e-6, 300e-6])
def test_media_time_is_call_time_however_long_and_whatever_is_lost(
    loss: float, jitter: float, drift: float
) -> None:
    packets = arrivals(60.0 if jitter or loss else 1800.0, loss=loss, drift=drift, jitter=jitter)
    distances = behind(MediaClock(RATE), packets)
    # Where nothing is lost, a clock that runs fast or slow moves nothing.
    assert max(distances) <= (JITTER + 1e-6 if loss else 0.007)
    assert np.mean(np.maximum(distances, 0.0)) <= 0.006 + 0.5 * loss
    assert min(distances) >= -jitter - 0.001


def test_a_call_without_faults_has_the_times_of_its_samples() -> None:
    distances = behind(MediaClock(RATE), arrivals(60.0))
    assert np.allclose(distances, 0.0, atol=1e-6)


def test_late_packets_that_come_at_once_are_not_lost_ones() -> None:
    clock = MediaClock(RATE)
    behind(clock, arrivals(1.0))
    # Four packets are late by up to 80 ms and come together: that is jitter, and no time is made up.
    for _ in range(4):
        clock.heard(PACKET, 1.08)
        clock.received(PACKET, 1.08)
    assert clock.media == pytest.approx(1.08)
    for number in range(1, 30):
        now = 1.08 + 0.02 * number
        clock.heard(PACKET, now)
        clock.received(PACKET, now)
        assert clock.media == pytest.approx(now)


@pytest.mark.parametrize("size", [160, 441, 1000, 1600, 4000])
def test_what_waits_for_the_rest_of_its_frame_is_not_behind(size: int) -> None:
    listener = Listener()
    for _ in range(200):
        listener.hear(np.zeros(size), size)
        waiting = listener.microphone.front_end.carried / RATE
        assert listener.microphone.media == pytest.approx(listener.now - waiting, abs=1e-6)


@settings(max_examples=15)
@given(
    st.floats(0, 0.3), st.floats(0, 0.1), st.floats(-300e-6, 300e-6), st.integers(0, 1000),
    st.sampled_from([160, 320, 480, 960]),
)  # fmt: skip
def test_turn_times_are_those_of_the_room(
    loss: float, jitter: float, drift: float, seed: int, size: int
) -> None:
    """A microphone with lost packets, seen from outside, ticker and all."""
    listener = Listener()
    microphone, rng = listener.microphone, np.random.default_rng(seed)
    seconds = size / RATE
    ticked = came = 0.0
    for number in range(1, round(20 / seconds)):
        said = number * seconds * (1 - drift)
        came = max(came, said + float(rng.uniform(0, jitter)))
        while ticked + 0.02 < came:
            ticked += 0.02
            microphone.silence(ticked)
            if microphone.quiet_for(ticked) >= QUIET_AFTER:
                assert ticked - 0.02 <= microphone.media <= ticked + 1e-9
        if rng.random() < loss:
            continue
        before = microphone.media
        microphone.feed(bytes(2 * size), came, False)
        assert before <= microphone.media <= came + 1e-9
        if number > 50:
            assert came - microphone.media <= JITTER + seconds + 1e-6
