"""Audio on its way to a loudspeaker: written by the loop, taken by the device's thread.

Nothing in here is estimated: what was taken has been heard, what was not can still be dropped. How much waits
is up to the writer, which asks `begin` before it writes more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from fishjam_agents.audio.samples import Samples

_LEAK = 0.95
_MOST_AHEAD = 0.1
"""Seconds by which a device may ask ahead of its own time. One that asks for three blocks in a row and then
pauses is not faster than one that asks for one at a time, so what it asked for too early is remembered, and
forgotten by 5 % a block: its clock may be slower than ours."""


class PlayoutQueue:
    """Chunks in order, and how much of them was taken. Safe to use from two threads.

    A lock is held for the copy of one block, by either side: a fraction of what they wait for each other's
    bytecode anyway, and with it the number of samples that an interrupt leaves is exact.

    Args:
        sample_rate: Hz of the loudspeaker.
        clock: Seconds on a clock that every thread reads alike.
    """

    def __init__(self, sample_rate: int, clock: Callable[[], float]) -> None:
        self._rate = sample_rate
        self._clock = clock
        self._lock = threading.Lock()
        # Samples for the device, and how many of the track's they stand for.
        self._chunks: deque[tuple[Samples, int]] = deque()
        self._begun = 0
        self._waiting = 0
        self._played = 0
        self._due = float("-inf")

    @property
    def played(self) -> int:
        """Samples of the track that were taken."""
        with self._lock:
            if not self._begun:
                return self._played
            samples, count = self._chunks[0]
            return self._played + count * self._begun // len(samples)

    @property
    def waiting(self) -> float:
        """Seconds of audio that were not taken yet."""
        return self._waiting / self._rate

    def now(self) -> float:
        """Return the time of its clock, seconds."""
        return self._clock()

    def begin(self) -> float:
        """Return when a chunk that is written now would begin to be taken."""
        with self._lock:
            return max(self._due, self._clock()) + self._waiting / self._rate

    def write(self, samples: Samples, count: int) -> None:
        """Add a chunk.

        Args:
            samples: int16 mono, shape (n,), at the loudspeaker's rate. Not to be changed afterwards.
            count: How many samples of the track it stands for.
        """
        if not len(samples):
            return
        with self._lock:
            self._chunks.append((samples, count))
            self._waiting += len(samples)

    def interrupt(self) -> int:
        """Drop the chunks of which nothing was taken.

        Returns:
            Samples of the track that will have been taken when the chunk in play has ended.
        """
        with self._lock:
            if not self._begun:
                self._chunks.clear()
                self._waiting = 0
                return self._played
            samples, count = self._chunks[0]
            self._chunks.clear()
            self._chunks.append((samples, count))
            self._waiting = len(samples) - self._begun
            return self._played + count

    def take(self, block: Samples) -> None:
        """Fill a block for the loudspeaker: int16 mono, shape (n,); silence where nothing is said."""
        now = self._clock()
        with self._lock:
            filled = 0
            while self._chunks and filled < len(block):
                samples, count = self._chunks[0]
                size = min(len(samples) - self._begun, len(block) - filled)
                block[filled : filled + size] = samples[self._begun : self._begun + size]
                filled += size
                self._begun += size
                if self._begun == len(samples):
                    self._chunks.popleft()
                    self._begun = 0
                    self._played += count
            self._waiting -= filled
            ahead = min(max(self._due - now, 0.0) * _LEAK, _MOST_AHEAD)
            self._due = now + ahead + len(block) / self._rate
        block[filled:] = 0
