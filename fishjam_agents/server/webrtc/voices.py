"""Sound of a room as Opus for browsers: every source is encoded once, however many browsers hear it.

A packet's time stamp is the room time of its first sample, so nothing drifts and nothing is queued: what an
interrupt drops was not encoded. What an agent sent is handed on up to 20 ms ahead, as far as it is certain to
be played: a packet that waited for its last sample to sound would wait a window longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from ...audio.formats import FRAMES_PER_SECOND
from ...audio.samples import Samples
from ..media.sources import AgentTrack, Source
from .microphone import BrowserMicrophone
from .opus import CLOCK_RATE, PACKET_TICKS, OpusEncoder

TAIL_TICKS = 10
"""Packets of silence after the last sound: a decoder that gets nothing extends what it heard last."""


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """20 ms of Opus.

    Attributes:
        position: Room time of its first sample, in ticks of 48 kHz.
        payload: The packet.
    """

    position: int
    payload: bytes


class Voices:
    """Encoders of one server: one for each source that a browser hears."""

    def __init__(self) -> None:
        self._voices: WeakKeyDictionary[Source, _Voice] = WeakKeyDictionary()

    def packets(self, source: Source, sounded: bool, ticks: int) -> Sequence[OpusPacket]:
        """Packets of a source for the window that ends at tick `ticks`; encoded when first asked for."""
        if isinstance(source, BrowserMicrophone):
            # It is Opus already.
            return [OpusPacket(*packet) for packet in source.opus()] if sounded else ()
        voice = self._voices.get(source)
        if voice is None:
            voice = self._voices[source] = _Voice(source.recording_rate)
        if voice.ticks != ticks:
            voice.ticks = ticks
            voice.packets = voice.encode(source, sounded)
        return voice.packets


@dataclass(slots=True)
class _Voice:
    rate: int
    ticks: int = -1
    packets: list[OpusPacket] = field(default_factory=list)
    _encoder: OpusEncoder | None = None
    _kept: list[Samples] = field(default_factory=list)
    _kept_samples: int = 0
    # Position after the last sample that was kept, at the source's rate.
    _end: int = -1
    # Whether samples were taken before their window was over.
    _ahead: bool = False
    # Position after the last packet, at 48 kHz.
    _sent: int = 0
    _quiet: int = TAIL_TICKS

    def encode(self, source: Source, sounded: bool) -> list[OpusPacket]:
        segments = source.segments() if sounded else ()
        packets: list[OpusPacket] = []
        for segment in segments:
            # What was taken ahead of its time has been sent.
            samples = (
                segment.samples[max(self._end - segment.position, 0) :] if self._ahead else segment.samples
            )
            position = segment.position + len(segment.samples) - len(samples)
            if not len(samples):
                continue
            if position != self._end:
                packets += self._flush()
            self._add(samples, position)
            packets += self._whole()
        if segments and isinstance(source, AgentTrack):
            packets += self._round_off(source)
        if packets or (self._kept_samples and segments):
            self._quiet = 0
        elif self._quiet < TAIL_TICKS:
            self._ahead = False
            self._quiet += 1
            packets += self._flush() or [self._packet(np.zeros(self._size, np.int16), self._sent)]
        return packets

    def _round_off(self, source: AgentTrack) -> list[OpusPacket]:
        """Fill the packet that has begun with what follows of the chunk in play, which no interrupt cuts."""
        if not self._kept_samples:
            return []
        rest = source.playout.in_play(self._end, self._size - self._kept_samples)
        if self._kept_samples + len(rest) < self._size:
            return []
        self._ahead = True
        self._add(rest, self._end)
        return self._whole()

    def _add(self, samples: Samples, position: int) -> None:
        self._kept.append(samples)
        self._kept_samples += len(samples)
        self._end = position + len(samples)

    @property
    def _size(self) -> int:
        return self.rate // FRAMES_PER_SECOND

    def _whole(self) -> list[OpusPacket]:
        size = self._size
        if self._kept_samples < size:
            return []
        samples = self._kept[0] if len(self._kept) == 1 else np.concatenate(self._kept)
        begin = self._end - len(samples)
        whole = len(samples) - len(samples) % size
        packets = [
            self._packet(samples[at : at + size], (begin + at) * CLOCK_RATE // self.rate)
            for at in range(0, whole, size)
        ]
        rest = samples[whole:]
        self._kept = [rest] if len(rest) else []
        self._kept_samples = len(rest)
        return packets

    def _flush(self) -> list[OpusPacket]:
        if not self._kept_samples:
            return []
        padding = np.zeros(self._size - self._kept_samples, np.int16)
        samples = np.concatenate((*self._kept, padding))
        begin = self._end - self._kept_samples
        self._kept, self._kept_samples = [], 0
        return [self._packet(samples, begin * CLOCK_RATE // self.rate)]

    def _packet(self, samples: Samples, position: int) -> OpusPacket:
        if self._encoder is None:
            self._encoder = OpusEncoder(self.rate)
        # Time stamps rise, even where sound came late and was played on.
        position = max(position, self._sent)
        self._sent = position + PACKET_TICKS
        return OpusPacket(position, self._encoder.encode(samples))
