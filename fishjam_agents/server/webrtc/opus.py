"""Opus in both directions (RFC 6716), by the libopus that PyAV brings along."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.packet import Packet

from ...audio.formats import FRAMES_PER_SECOND
from ...audio.samples import Samples

CLOCK_RATE = 48000
"""Rate of the RTP clock and of what is decoded, whatever was encoded, Hz (RFC 7587)."""

PACKET_TICKS = CLOCK_RATE // FRAMES_PER_SECOND
"""RTP clock ticks of 20 ms."""

TIME_BASE = Fraction(1, CLOCK_RATE)

BIT_RATE = 48000
"""Bits per second of what browsers get: fullband speech (RFC 7587, section 3.1.1)."""


class OpusDecoder:
    """Decodes one stream to mono: the channels of stereo are mixed by libopus itself."""

    def __init__(self) -> None:
        self._codec = _context("r")
        self._codec.layout = "mono"
        self._codec.sample_rate = CLOCK_RATE

    def decode(self, payload: bytes) -> Samples | None:
        """Samples of a packet, int16 mono at 48 kHz; None if it is damaged."""
        try:
            frames = self._codec.decode(Packet(payload))
        except av.FFmpegError:
            return None
        # Copied: the plane goes with its frame.
        parts = [np.frombuffer(bytes(frame.planes[0]), np.int16, count=frame.samples) for frame in frames]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class OpusEncoder:
    """Encodes mono of one sample rate: 8000, 12000, 16000, 24000 or 48000 Hz, 20 ms at a time.

    Mono, and not doubled to stereo: every decoder gives it to both ears at its full level.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        codec = _context("w")
        codec.sample_rate = sample_rate
        codec.layout = "mono"
        codec.format = "s16"
        codec.bit_rate = BIT_RATE
        codec.time_base = Fraction(1, sample_rate)
        codec.options = {"application": "voip", "frame_duration": "20", "compression_level": "5"}
        self._codec = codec

    def encode(self, samples: Samples) -> bytes:
        """The packet of 20 ms of int16 mono."""
        frame = AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate = self._rate
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


def _context(mode: Literal["r", "w"]) -> AudioCodecContext:
    return av.CodecContext.create("libopus", mode)
