"""Sound of a microphone on its way from the device's thread to the loop: 20 ms frames at the bot's rate."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import log10

import numpy as np

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.reblock import Reblocker
from fishjam_agents.audio.resampling import live_resampler
from fishjam_agents.audio.samples import FULL_SCALE, Samples

BACKLOG = 1.0
"""Seconds that wait for a loop that is held up; what is older is dropped and counted."""
SILENT = -100.0
"""Level of digital silence, dBFS."""


class CaptureBuffer:
    """Frames of one microphone: `put` is called in the device's thread, all else on the loop.

    Args:
        device_rate: Hz of the microphone.
        sample_rate: Hz of the frames.
        deliver: Given each frame of 20 ms, int16 mono, on the loop.

    Attributes:
        level: How loud the last frame was, dBFS (RMS).
        seconds: Sound that was delivered so far.
        is_silent: Whether it was all zeros.
    """

    def __init__(self, device_rate: int, sample_rate: int, deliver: Callable[[Samples], None]) -> None:
        self.level = SILENT
        self.seconds = 0.0
        self.is_silent = True
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._device_rate = device_rate
        self._waiting: deque[Samples] = deque()
        self._dropped_samples = 0
        self._is_fetch_due = False
        self._resampler = live_resampler(device_rate, sample_rate)
        self._frames = Reblocker(sample_rate // FRAMES_PER_SECOND)

    @property
    def dropped(self) -> float:
        """Seconds that were dropped because the loop did not fetch them in time."""
        return self._dropped_samples / self._device_rate

    def put(self, samples: Samples) -> None:
        """Take a block of any length, int16 mono, shape (n,); it is copied."""
        self._waiting.append(samples.copy())
        while sum(map(len, tuple(self._waiting))) > BACKLOG * self._device_rate:
            try:
                self._dropped_samples += len(self._waiting.popleft())
            except IndexError:
                # The loop was quicker.
                break
        # Before the loop looks it says that it will have to be called again, so no block is left behind.
        if not self._is_fetch_due:
            self._is_fetch_due = True
            try:
                self._loop.call_soon_threadsafe(self._fetch)
            except RuntimeError:
                # The loop is over; the device is told so soon.
                self._waiting.clear()

    def _fetch(self) -> None:
        self._is_fetch_due = False
        while self._waiting:
            try:
                block = self._waiting.popleft()
            except IndexError:
                return
            for frame in self._frames.process(self._resampler.process(block)):
                self._measure(frame)
                self._deliver(frame)

    def _measure(self, frame: Samples) -> None:
        self.seconds += 1 / FRAMES_PER_SECOND
        energy = float(np.dot(frame.astype(np.float32), frame.astype(np.float32))) / len(frame)
        self.level = max(10 * log10(energy / FULL_SCALE**2), SILENT) if energy else SILENT
        self.is_silent = self.is_silent and not energy
