"""The bot's voice on a loudspeaker, and how much of it has been heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fishjam_agents.audio.resampling import playout_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.devices.playout_queue import PlayoutQueue

_JITTER = 0.03
"""Seconds by which a device may ask too early or too late before its time counts instead of ours."""
_STEP = 0.05
"""Share of such a difference that a chunk makes up for: clocks 100 ppm apart differ by 2 us a chunk."""


class DeviceTrack:
    """The bot's track: a queue that the loudspeaker empties. Is a `session.OutgoingTrack`.

    Args:
        queue: What the loudspeaker plays.
        sample_rate: Hz of what is sent.
        device_rate: Hz of the loudspeaker.
        clock: Time of the loop, seconds.
    """

    id = "loudspeaker"

    def __init__(
        self, queue: PlayoutQueue, sample_rate: int, device_rate: int, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._rate = sample_rate
        self._clock = clock
        self._resampler = playout_resampler(sample_rate, device_rate)

    async def send_chunk(self, data: bytes) -> None:
        """Queue PCM16."""
        samples: Samples = np.frombuffer(data, np.int16)
        self._queue.write(self._resampler.process(samples), len(samples))

    async def interrupt(self) -> None:
        """Drop what was sent and has not begun to play."""
        self._queue.interrupt()
        self._resampler.clear()

    def playout_estimate(self) -> DevicePlayoutEstimate:
        """Playout estimate, here the truth."""
        return DevicePlayoutEstimate(self._queue, self._rate, self._clock() - self._queue.now())


class DevicePlayoutEstimate:
    """Audio of a track that left for the loudspeaker: a `session.PlayoutEstimate`.

    Counts are the queue's and exact. Times follow the device's clock smoothly, because the echo guard takes
    chunks that follow each other for one sound.

    Args:
        queue: What the loudspeaker plays.
        sample_rate: Hz of the track.
        offset: Time of the loop less that of the queue, seconds.
    """

    def __init__(self, queue: PlayoutQueue, sample_rate: int, offset: float) -> None:
        self._queue = queue
        self._rate = sample_rate
        self._offset = offset
        self._end = float("-inf")

    @property
    def end(self) -> float:
        """Time at which the last chunk sent ends; minus infinity before the first."""
        if self._queue.waiting:
            # A device that has stopped to ask is waited for: else what it does not take would pile up.
            begin = self._begin()
            if begin - self._end > _JITTER:
                self._end = begin
        return self._end

    def send(self, now: float, samples: int) -> None:
        """Note that a chunk of `samples` is sent at `now`."""
        begin = self._begin()
        late = begin - self._end
        if abs(late) <= _JITTER:
            begin = self._end + _STEP * late
        self._end = begin + samples / self._rate

    def played(self, now: float) -> int:
        """Samples played by `now`, of all that were sent and not removed by an interrupt."""
        return self._queue.played

    def interrupt(self, now: float) -> int:
        """Drop what has not begun to play, here and now."""
        played = self._queue.interrupt()
        self._end = min(self._end, self._begin())
        return played

    def _begin(self) -> float:
        return self._queue.begin() + self._offset
