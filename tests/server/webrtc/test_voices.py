"""Sources as Opus: what is sent when, and what it sounds like; no network, no clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fishjam_agents.protocol import Track, TrackType
from fishjam_agents.server.media.sources import AgentTrack
from fishjam_agents.server.webrtc.opus import OpusDecoder
from fishjam_agents.server.webrtc.voices import TAIL_TICKS, OpusPacket, Voices

from .browser import Samples, level, pitch

RATE = 24000


class Stage:
    """An agent's track and what browsers are sent of it."""

    def __init__(self) -> None:
        self.track = AgentTrack(Track("voice", int(TrackType.AUDIO), "null"), RATE)
        self.voices = Voices()
        self.ticks = 0
        self.packets: list[OpusPacket] = []

    def write(self, samples: Samples, after: float = 0.0) -> None:
        """A chunk arrives so many seconds after the latest tick."""
        self.track.playout.write(samples.tobytes(), self.ticks / 50 + after)

    def interrupt(self, after: float = 0.0) -> None:
        self.track.playout.interrupt(self.ticks / 50 + after)

    def tick(self) -> int:
        """How many packets are sent for the next window."""
        self.ticks += 1
        sounded = self.track.advance(self.ticks)
        packets = self.voices.packets(self.track, sounded, self.ticks)
        assert self.voices.packets(self.track, sounded, self.ticks) is packets
        self.packets += packets
        return len(packets)

    def sound(self) -> Samples:
        """Everything that was sent, at 48 kHz."""
        decoder = OpusDecoder()
        parts = [decoder.decode(packet.payload) for packet in self.packets]
        return np.concatenate([part for part in parts if part is not None])


def tone(seconds: float) -> Samples:
    times = np.arange(round(seconds * RATE)) / RATE
    return (9000 * np.sin(2 * np.pi * 500 * times)).astype(np.int16)


@pytest.mark.parametrize("after", [0.0, 0.002, 0.0199])
def test_a_chunk_is_sent_at_the_first_tick_after_it_came(after: float) -> None:
    stage = Stage()
    sound = tone(2.0)
    sent = []
    for start in range(0, len(sound), 480):
        stage.write(sound[start : start + 480], after)
        sent.append(stage.tick())
    assert sent == [1] * 100
    positions = [packet.position for packet in stage.packets]
    assert positions == [positions[0] + 960 * n for n in range(100)]
    assert abs(positions[0] - after * 48000) <= 2
    # Nothing is left out and nothing comes twice: the sine is as pure as it was.
    heard = stage.sound()[9600:-9600]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    peak = int(np.argmax(spectrum))
    assert abs(pitch(heard) - 500) < 1
    assert spectrum[peak - 8 : peak + 9].sum() > 0.999 * spectrum.sum()


def test_a_long_chunk_is_sent_in_real_time() -> None:
    stage = Stage()
    stage.write(tone(1.0), 0.007)
    assert [stage.tick() for _ in range(60)] == [1] * 60
    assert [stage.tick() for _ in range(5)] == [0] * 5


def test_an_interrupt_leaves_at_most_the_chunk_in_play() -> None:
    stage = Stage()
    sound = tone(2.0)
    for start in range(0, len(sound), 480):
        stage.write(sound[start : start + 480], 0.002)
    for _ in range(10):
        stage.tick()
    stage.interrupt(0.001)
    for _ in range(20):
        stage.tick()
    loud = [level(part) > 500 for part in np.split(stage.sound(), len(stage.packets))]
    assert sum(loud) <= 12
    assert len(stage.packets) == 10 + TAIL_TICKS


def test_an_end_is_followed_by_silence_and_then_by_nothing() -> None:
    stage = Stage()
    stage.write(tone(0.05))
    sent = [stage.tick() for _ in range(30)]
    # The last half of a window waits for what may follow.
    assert sent == [1, 1, 0] + [1] * TAIL_TICKS + [0] * (27 - TAIL_TICKS)
    assert level(stage.sound()[-4800:]) < 20
    stage.write(tone(0.02))
    stage.tick()
    # A pause is a step of the time stamps.
    assert stage.packets[-1].position == 30 * 960


def test_time_stamps_never_fall() -> None:
    stage = Stage()
    generator = np.random.default_rng(1)
    for _ in range(300):
        for _ in range(int(generator.integers(0, 3))):
            stage.write(tone(float(generator.uniform(0.001, 0.05))), float(generator.uniform(0, 0.02)))
        if generator.random() < 0.1:
            stage.interrupt(0.02)
        stage.tick()
    positions = [packet.position for packet in stage.packets]
    assert all(later - earlier >= 960 for earlier, later in itertools.pairwise(positions))
