"""Playout of an agent's audio: Fishjam's rules for PCM16 tracks, without a clock or a socket.

Chunks are queued and played in real time from their arrival; a chunk that arrives within 100 ms of the end
of the queue continues its timeline, a later one starts a new one; `interrupt` drops the chunks that have
not begun to play; at most 10 minutes are queued (Fishjam's engine, `membrane_rtc_engine`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...audio.formats import SAMPLE_BYTES
from ...audio.samples import Samples

GAP_SECONDS = 0.1
"""A chunk that arrives later than this after the end of the queue restarts the timeline."""

QUEUE_SECONDS = 600.0
"""Seconds of audio that a track may have queued; a chunk that would exceed it is dropped whole."""


MERGED_SECONDS = 0.005
"""Chunks shorter than this are queued together, up to twice as long.

An `interrupt` is that much coarser for who sends such chunks; thousands of chunks of one sample cost no more
than the sound in them.
"""

CUTS = 1000
"""Number of interrupts that are remembered."""


_NOTHING: Samples = np.empty(0, np.int16)


@dataclass(frozen=True, slots=True)
class Cut:
    """One `interrupt_track` as the listeners know it: the truth an estimate is compared with.

    Attributes:
        at: Room time at which it took effect, in seconds.
        played_seconds: Audio of the track played in total once the chunk in play has ended.
        dropped_seconds: Audio it removed from the queue.
    """

    at: float
    played_seconds: float
    dropped_seconds: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples that were played in one go.

    Attributes:
        position: Room time of the first sample, counted in samples of the track.
        samples: int16 mono, shape (n,).
    """

    position: int
    samples: Samples


class Playout:
    """The queue and the ground truth of one agent track.

    All times are room time in seconds and must not run backwards.

    Attributes:
        sample_rate: Hz.
        received: Samples received in total.
        played: Samples played in total.
        overflowed: Samples dropped because the queue was full.
        odd_chunks: Chunks whose odd last byte was dropped.
        cuts: One `Cut` per interrupt, in order; the latest `CUTS` of them.
        played_ranges: Which of the received samples were played, as merged half-open index ranges.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.received = 0
        self.played = 0
        self.overflowed = 0
        self.odd_chunks = 0
        self.cuts: deque[Cut] = deque(maxlen=CUTS)
        self.played_ranges: list[tuple[int, int]] = []
        self._gap = round(GAP_SECONDS * sample_rate)
        self._merged = round(MERGED_SECONDS * sample_rate)
        self._limit = round(QUEUE_SECONDS * sample_rate)
        # (position of the first sample, its index among the received, samples) of whole chunks;
        # `_begun` samples of the first one have been played.
        self._queue: deque[tuple[int, int, Samples]] = deque()
        self._begun = 0
        self._end: int | None = None

    @property
    def played_seconds(self) -> float:
        """Audio played in total, in seconds."""
        return self.played / self.sample_rate

    @property
    def ends_at(self) -> float | None:
        """Room time at which the queued audio ends or ended, in seconds; None before the first chunk."""
        return None if self._end is None else self._end / self.sample_rate

    @property
    def idle(self) -> bool:
        """True while nothing is queued or in play."""
        return not self._queue

    def write(self, data: bytes, now: float) -> None:
        """Queue a chunk of signed 16-bit little-endian mono PCM that arrives at `now`."""
        if len(data) % SAMPLE_BYTES:
            self.odd_chunks += 1
        count = len(data) // SAMPLE_BYTES
        if not count:
            return
        index = self.received
        self.received += count
        arrival = round(now * self.sample_rate)
        start = self._end
        if start is None or arrival - start > self._gap:
            start = arrival
        if start + count - arrival > self._limit:
            self.overflowed += count
            return
        samples = np.frombuffer(data, dtype="<i2", count=count)
        if count >= self._merged or not self._merge(start, index, samples):
            self._queue.append((start, index, samples))
        self._end = start + count

    def _merge(self, start: int, index: int, samples: Samples) -> bool:
        """Append a very short chunk to the one before it; whether that is possible."""
        if len(self._queue) < 2:
            # The first one may have begun to play.
            return False
        last_start, last_index, last = self._queue[-1]
        if len(last) > self._merged or last_start + len(last) != start or last_index + len(last) != index:
            return False
        self._queue[-1] = (last_start, last_index, np.concatenate((last, samples)))
        return True

    def interrupt(self, now: float) -> Cut:
        """Drop the chunks that have not begun to play at `now`."""
        at = round(now * self.sample_rate)
        dropped = 0
        while self._queue:
            start, _, samples = self._queue[-1]
            if start < at or (len(self._queue) == 1 and self._begun):
                break
            self._queue.pop()
            dropped += len(samples)
            self._end = start
        in_play = sum(len(samples) for _, _, samples in self._queue) - self._begun
        cut = Cut(now, (self.played + in_play) / self.sample_rate, dropped / self.sample_rate)
        self.cuts.append(cut)
        return cut

    def play(self, until: int) -> list[Segment]:
        """Everything that sounds before `until` (room time in samples of the track) and was not given yet.

        A segment may lie further back than the last call: a chunk that continued its timeline late.
        """
        segments: list[Segment] = []
        while self._queue:
            start, index, samples = self._queue[0]
            begun = self._begun
            position = start + begun
            if position >= until:
                break
            end = min(len(samples), until - start)
            segments.append(Segment(position, samples[begun:end]))
            self._count(index + begun, index + end)
            if end == len(samples):
                self._queue.popleft()
                self._begun = 0
            else:
                self._begun = end
        return segments

    def in_play(self, position: int, count: int) -> Samples:
        """Up to `count` samples of the chunk in play from `position` on: they will sound, come what may."""
        if not self._begun:
            return _NOTHING
        start, _, samples = self._queue[0]
        begin = position - start
        return samples[begin : begin + count] if begin >= self._begun else _NOTHING

    def _count(self, start: int, end: int) -> None:
        self.played += end - start
        ranges = self.played_ranges
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
