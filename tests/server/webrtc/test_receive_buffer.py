"""The receive buffer and the microphone behind it, without a network: loss, reordering, jitter, mute."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from fishjam_agents.server.webrtc.microphone import BrowserMicrophone
from fishjam_agents.server.webrtc.opus import OpusDecoder, OpusEncoder
from fishjam_agents.server.webrtc.receive_buffer import HOLE_SECONDS, ReceiveBuffer

TICK = 0.02


def put(buffer: ReceiveBuffer, number: int, now: float) -> None:
    buffer.put(number & 0xFFFF, number * 960 & 0xFFFFFFFF, str(number).encode(), now)


def given(buffer: ReceiveBuffer, now: float) -> list[tuple[int, int]]:
    return [(int(received.payload), received.lost) for received in buffer.take(now)]


def test_packets_in_order_wait_for_nothing() -> None:
    buffer = ReceiveBuffer()
    for number in range(5):
        put(buffer, number, number * TICK)
        assert given(buffer, number * TICK) == [(number, 0)]


def test_packets_out_of_order_are_put_in_order() -> None:
    buffer = ReceiveBuffer()
    put(buffer, 0, 0.0)
    put(buffer, 2, 0.02)
    put(buffer, 1, 0.03)
    assert given(buffer, 0.04) == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.parametrize("first", [0, 65534])
def test_a_hole_is_skipped_after_a_while_and_its_length_is_known(first: int) -> None:
    buffer = ReceiveBuffer()
    put(buffer, first, 0.0)
    assert given(buffer, 0.0) == [(first, 0)]
    put(buffer, first + 3, 0.06)
    assert given(buffer, 0.06) == []
    assert given(buffer, 0.06 + HOLE_SECONDS - 0.001) == []
    assert given(buffer, 0.06 + HOLE_SECONDS) == [(first + 3, 2 * 960)]
    assert buffer.lost == 2
    put(buffer, first + 1, 0.2)
    put(buffer, first + 4, 0.2)
    assert given(buffer, 0.2) == [(first + 4, 0)]
    assert buffer.late == 1


def test_a_hole_delays_nothing_for_good() -> None:
    buffer = ReceiveBuffer()
    for number in range(200):
        if number != 50:
            put(buffer, number, number * TICK)
        taken = given(buffer, number * TICK)
        if number > 60:
            assert taken == [(number, 0)]


def test_a_pause_of_the_sender_is_no_hole() -> None:
    buffer = ReceiveBuffer()
    put(buffer, 0, 0.0)
    buffer.put(1, 960 * 400, b"1", 8.0)
    assert given(buffer, 8.0) == [(0, 0), (1, 0)]


def test_a_hole_of_seconds_is_not_filled() -> None:
    buffer = ReceiveBuffer()
    put(buffer, 0, 0.0)
    put(buffer, 100, 2.0)
    buffer.take(2.0)
    assert given(buffer, 2.1) == [(100, 0)]


def test_another_stream_on_the_same_track_is_taken_from_its_beginning() -> None:
    buffer = ReceiveBuffer()
    put(buffer, 0, 0.0)
    buffer.take(0.0)
    put(buffer, 30000, 0.02)
    assert given(buffer, 0.02) == [(30000, 0)]


def test_packets_are_not_hoarded() -> None:
    buffer = ReceiveBuffer()
    put(buffer, 0, 0.0)
    buffer.take(0.0)
    for number in range(2, 600):
        put(buffer, number, 0.0)
    assert len(given(buffer, 0.0)) >= 590


def test_empty_packets_and_repeated_ones_are_left_out() -> None:
    buffer = ReceiveBuffer()
    buffer.put(0, 0, b"", 0.0)
    put(buffer, 1, 0.0)
    put(buffer, 1, 0.0)
    assert given(buffer, 0.0) == [(1, 0)]
    put(buffer, 1, 0.02)
    assert given(buffer, 0.02) == []


# --- the microphone ---


class Line:
    """A microphone whose packets a test sends, tick by tick."""

    def __init__(self, at_once: bool = False) -> None:
        self.now = 0.0
        self.ticks = 0
        self.voice: list[bool] = []
        self.given: list[bytes] = []
        self.microphone = BrowserMicrophone(
            "mic",
            "null",
            self.voice.append,
            lambda: self.now,
            self.flush if at_once else lambda: None,
        )
        self.encoder = OpusEncoder(48000)
        self.number = 0

    def packet(self, loud: bool = True) -> tuple[int, int, bytes]:
        """The next packet of a sine, or of silence."""
        times = np.arange(self.number * 960, (self.number + 1) * 960) / 48000
        tone = (9000 * loud * np.sin(2 * np.pi * 500 * times)).astype(np.int16)
        made = (self.number & 0xFFFF, self.number * 960, self.encoder.encode(tone))
        self.number += 1
        return made

    def arrive(self, *packets: tuple[int, int, bytes]) -> None:
        for packet in packets:
            self.microphone.put(*packet)

    def flush(self) -> None:
        """Hand on what has come, as the room does between two ticks."""
        if self.microphone.advance(self.ticks):
            self.given += self.microphone.packets(16000)

    def tick(self) -> list[bytes]:
        """What an agent gets until the end of the next window."""
        self.ticks += 1
        self.now = self.ticks * TICK
        if self.microphone.advance(self.ticks):
            self.given += self.microphone.packets(16000)
        given, self.given = self.given, []
        return given


def loud(packet: bytes) -> bool:
    return bool(np.abs(np.frombuffer(packet, np.int16)).max() > 1000)


def test_a_microphone_gives_each_packet_in_the_window_it_came_in() -> None:
    line = Line()
    for _ in range(20):
        line.arrive(line.packet())
        packets = line.tick()
        assert [len(packet) for packet in packets] == [640]
    assert line.voice == [True]
    assert line.microphone.speaking


def test_nothing_is_sent_before_the_first_packet() -> None:
    line = Line()
    assert [line.tick() for _ in range(10)] == [[]] * 10


def test_an_end_is_found_though_the_packets_stop() -> None:
    line = Line()
    for _ in range(10):
        line.arrive(line.packet())
        line.tick()
    after = [line.tick() for _ in range(30)]
    assert [len(packets) for packets in after] == [0, 0, 0] + [1] * 27
    # What a filter holds of the sound itself is over within the first packet.
    assert not any(loud(packet) for packets in after[4:] for packet in packets)
    assert line.voice == [True, False]


def test_ticks_that_are_made_up_for_are_no_silence() -> None:
    line = Line()
    for _ in range(10):
        line.arrive(line.packet())
        line.tick()
    # The loop was held up for half a second: its ticks come first, then what the network had meanwhile.
    line.now += 0.5
    for _ in range(25):
        line.ticks += 1
        assert not line.microphone.advance(line.ticks) or line.now - line.ticks * TICK < TICK
    line.arrive(*(line.packet() for _ in range(25)))
    assert line.microphone.advance(line.ticks)
    assert len(line.microphone.packets(16000)) == 25


def test_a_muted_microphone_sends_nothing_and_keeps_no_tail() -> None:
    line = Line()
    for _ in range(10):
        line.arrive(line.packet())
        line.tick()
    line.arrive(line.packet())
    line.microphone.describe(json.dumps({"type": "microphone", "paused": True}))
    assert len(line.tick()) == 1
    assert [line.tick() for _ in range(100)] == [[]] * 100
    assert line.voice == [True, False]
    line.microphone.describe(json.dumps({"type": "microphone", "paused": False}))
    line.arrive(line.packet())
    assert len(line.tick()) == 1


def test_a_stretch_after_a_pause_is_recorded_where_it_was_said() -> None:
    line = Line()
    line.arrive(line.packet())
    line.tick()
    assert line.microphone.segments()[0].position == 0
    for _ in range(100):
        line.tick()
        assert not line.microphone.segments()
    # A browser's time stamps stand still while it is muted.
    line.arrive(line.packet())
    line.tick()
    assert line.microphone.segments()[0].position == 101 * 960


def test_one_in_ten_packets_lost_costs_nothing_but_those() -> None:
    line = Line()
    chance = random.Random(1)
    heard = lost = 0
    for _ in range(500):
        packet = line.packet()
        if chance.random() < 0.1:
            lost += 1
        else:
            line.arrive(packet)
        heard += len(line.tick())
    for _ in range(5):
        heard += len(line.tick())
    # Time goes on through the holes, and what follows is as fresh as ever.
    assert 500 <= heard <= 504
    assert line.microphone.buffer.lost == lost
    line.arrive(line.packet())
    assert len(line.tick()) == 1
    assert line.voice == [True]


def test_packets_are_handed_on_at_once() -> None:
    line = Line(at_once=True)
    for number in range(20):
        line.now = (number + 0.3) * TICK
        line.arrive(line.packet())
        assert [len(packet) for packet in line.given] == [640]
        assert len(line.tick()) == 1
    assert line.voice == [True]
    after = [line.tick() for _ in range(10)]
    assert [len(packets) for packets in after] == [0] * 3 + [1] * 7


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
def test_jitter_of_300_ms_is_learnt(in_order: bool, at_once: bool) -> None:
    line = Line(at_once)
    chance = random.Random(2)
    under_way: list[tuple[float, tuple[int, int, bytes]]] = []
    at = 0.0
    sounds = silences = 0
    for number in range(750):
        at = max(number * TICK + chance.uniform(0.0, 0.3), at if in_order else 0.0)
        under_way.append((at, line.packet()))
        line.arrive(*(packet for due, packet in under_way if due <= line.now))
        under_way = [(due, packet) for due, packet in under_way if due > line.now]
        packets = [loud(packet) for packet in line.tick()]
        if number >= 250:
            sounds += sum(packets)
            silences += len(packets) - sum(packets)
    # After some seconds nothing is lost and nothing made up.
    assert sounds >= 480
    assert silences <= 10


def test_a_burst_after_a_stall_is_given_whole() -> None:
    line = Line()
    for _ in range(10):
        line.arrive(line.packet())
        line.tick()
    late = []
    for _ in range(15):
        late.append(line.packet())
        line.tick()
    line.arrive(*late)
    packets = line.tick()
    assert len(packets) == 15
    assert sum(loud(packet) for packet in packets) >= 14


def test_damaged_packets_are_left_out() -> None:
    line = Line()
    line.arrive(line.packet())
    line.tick()
    number, stamp, _ = line.packet()
    line.arrive((number, stamp, b"\xff" * 40))
    line.tick()
    line.arrive(line.packet())
    assert len(line.tick()) == 1


def test_packets_of_other_lengths_become_windows_of_20_ms() -> None:
    line = Line()
    decoder = OpusDecoder()
    packet = line.packet()[2]
    samples = decoder.decode(packet)
    assert samples is not None
    assert len(samples) == 960
    # Three frames in one packet (RFC 6716, section 3.2.5): code 3, constant size.
    joined = bytes((packet[0] & 0xFC | 3, 3)) + packet[1:] * 3
    line.arrive((0, 0, joined))
    assert [len(given) for given in line.tick()] == [640, 640, 640]
