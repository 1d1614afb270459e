"""A browser's microphone: the audio track of a WebRTC peer as a source of the room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...audio.formats import FRAME_SECONDS, FRAMES_PER_SECOND
from ...audio.resampling import StreamResampler, live_resampler
from ...audio.samples import Samples
from ...protocol import Track, TrackType
from ..media.camera import is_paused
from ..media.playout import GAP_SECONDS, Segment
from ..media.voice_activity import VoiceActivity, is_loud
from .opus import CLOCK_RATE, PACKET_TICKS, OpusDecoder
from .receive_buffer import ReceiveBuffer

SILENCE_SECONDS = 0.06
"""Without a packet for longer, an open microphone is silent by the room clock: browsers send nothing while
a track is replaced, and whoever listens must still find the end of what was said."""

_TOLERANCE = round(GAP_SECONDS * CLOCK_RATE)
_SILENT_TICKS = round(SILENCE_SECONDS * FRAMES_PER_SECOND)
_MAX_SILENT_TICKS = 20
"""Longest wait for silence where packets come in bursts: a gap between bursts is no silence."""
_CALM_TICKS = 500
"""After so many windows without a burst it begins one window earlier again."""


class BrowserMicrophone:
    """Part of `sources.Source`.

    Args:
        track_id: The browser's name of the track.
        metadata: JSON text.
        voice_changed: Told when someone begins or ends to speak.
        now: Room time, in seconds.
        arrived: Called when a packet has come, which may be handed on between two ticks: then `advance` is
            called with the latest tick once more.

    Attributes:
        track: Id, type and metadata.
        buffer: Packets on their way in.
    """

    recording_rate = CLOCK_RATE
    finished = False

    def __init__(
        self,
        track_id: str,
        metadata: str,
        voice_changed: Callable[[bool], None],
        now: Callable[[], float],
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self.track = Track(track_id, int(TrackType.AUDIO), metadata)
        self.buffer = ReceiveBuffer()
        self._paused = is_paused(metadata)
        self._activity = VoiceActivity(voice_changed)
        self._now = now
        self._arrived = arrived
        self._ticks = -1
        # Whether anything came since the latest tick.
        self._fresh = False
        self._decoder = OpusDecoder()
        self._samples: Samples = np.empty(0, np.int16)
        self._position = 0
        self._end: int | None = None
        self._payloads: list[tuple[int, bytes]] = []
        self._missing = 0
        self._silent_after = _SILENT_TICKS
        # The latest stretch without packets, in windows, and how many have come since the latest tick.
        self._gap = 0
        self._burst = 0
        self._calm = 0
        self._packetizers: dict[int, _Packetizer] = {}

    @property
    def speaking(self) -> bool:
        """True while someone speaks into it."""
        return self._activity.speaking

    def put(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet as it arrives."""
        self.buffer.put(sequence, timestamp, payload, self._now())
        self._arrived()

    def describe(self, metadata: str) -> Track:
        """Change the track's metadata; returns the track as it is now."""
        self.track = Track(self.track.id, self.track.type, metadata)
        self._paused = is_paused(metadata)
        return self.track

    def advance(self, ticks: int) -> bool:
        """Part of `sources.Source`."""
        ticked, self._ticks = ticks != self._ticks, ticks
        now = self._now()
        if ticked:
            if self._burst:
                self._gap = 0
            self._burst = 0
        if self._take(now):
            self._fresh = not ticked
        elif ticked:
            # A tick that is late is made up for before the network is read.
            late = now - ticks / FRAMES_PER_SECOND > FRAME_SECONDS
            self._samples = self._samples[:0] if self._fresh or late else self._nothing(now)
            self._fresh = False
        else:
            return False
        self._watch(int(now * FRAMES_PER_SECOND))
        return bool(len(self._samples))

    def _take(self, now: float) -> bool:
        """Decode what has come; whether anything has."""
        parts: list[Samples] = []
        payloads: list[tuple[int, bytes]] = []
        length = 0
        self._payloads = []
        for received in self.buffer.take(now):
            samples = self._decoder.decode(received.payload)
            if samples is None or not len(samples):
                continue
            if received.lost:
                parts.append(np.zeros(received.lost, np.int16))
                length += received.lost
            self.buffer.decoded(len(samples))
            payloads.append((length, received.payload))
            parts.append(samples)
            length += len(samples)
        if not parts:
            return False
        self._judge_silence(len(payloads))
        self._samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._place(now, length)
        self._payloads = [(self._position + at, payload) for at, payload in payloads]
        return True

    def _nothing(self, now: float) -> Samples:
        """A window in which nothing came: silence, once that has lasted."""
        if self._end is None or self._paused:
            return self._samples[:0]
        self._missing += 1
        if self._missing <= self._silent_after or not self.buffer.empty:
            return self._samples[:0]
        self._position = round(now * CLOCK_RATE) - PACKET_TICKS
        return np.zeros(PACKET_TICKS, np.int16)

    def packets(self, sample_rate: int) -> Sequence[bytes]:
        """Part of `sources.Source`."""
        packetizer = self._packetizers.get(sample_rate)
        if packetizer is None:
            packetizer = self._packetizers[sample_rate] = _Packetizer(sample_rate)
        return packetizer.take(self._samples)

    def segments(self) -> Sequence[Segment]:
        """Part of `sources.Source`."""
        if self._missing or not len(self._samples):
            return ()
        return (Segment(self._position, self._samples),)

    def opus(self) -> Sequence[tuple[int, bytes]]:
        """Return the packets of the window as they came, each with the room time of its start at 48 kHz."""
        return self._payloads

    def _judge_silence(self, packets: int) -> None:
        """Packets came: were they only late? Then more of them come within a window than are spoken in it."""
        if self._missing:
            self._gap, self._missing = self._missing, 0
        self._burst += packets
        if self._burst > 2 and self._gap > self._silent_after:
            self._silent_after = min(self._gap + 1, _MAX_SILENT_TICKS)
            self._calm = self._gap = 0
        elif self._silent_after > _SILENT_TICKS:
            self._calm += 1
            if self._calm == _CALM_TICKS:
                self._silent_after -= 1
                self._calm = 0

    def _place(self, now: float, length: int) -> None:
        """Give what came its room time: it goes on where it ended, unless that is not now any more."""
        begin = round(now * CLOCK_RATE) - length
        end = self._end
        self._position = begin if end is None or abs(begin - end) > _TOLERANCE else end
        self._end = self._position + length

    def _watch(self, window: int) -> None:
        activity = self._activity
        if not self._paused and not self._missing and is_loud(self._samples):
            activity.loud_at = window
            if not activity.speaking:
                activity.begin()
        elif activity.speaking:
            activity.pause(window)


class _Packetizer:
    """Turns samples at 48 kHz into whole packets of 20 ms at another rate."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler: StreamResampler = live_resampler(CLOCK_RATE, sample_rate)
        self._size = sample_rate // FRAMES_PER_SECOND
        self._kept: Samples = np.empty(0, np.int16)

    def take(self, samples: Samples) -> list[bytes]:
        resampled = self._resampler.process(samples)
        if len(self._kept):
            resampled = np.concatenate((self._kept, resampled))
        size = self._size
        whole = len(resampled) - len(resampled) % size
        self._kept = resampled[whole:]
        return [resampled[at : at + size].tobytes() for at in range(0, whole, size)]
