"""What one simulated microphone picks up: lines, a bed of noise, the bot's voice from the loudspeaker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.resampling import StreamResampler, live_resampler
from fishjam_agents.audio.samples import Samples
from fishjam_agents.server.clock import TICKS_PER_SECOND
from fishjam_agents.server.playout import Segment
from fishjam_agents.simulation.sounds import RATE
from fishjam_agents.testing.scenario import Echo

FRAME = RATE // TICKS_PER_SECOND
"""Samples of 20 ms."""


class Mouth:
    """Mixes a caller's sound, 20 ms at a time: int16 mono at 16 kHz. No clock.

    Args:
        noise: A bed to repeat, None without one.
        echo: How the bot comes back, None if it does not.
    """

    def __init__(self, noise: Samples | None = None, echo: Echo | None = None) -> None:
        self._noise = noise if noise is not None and len(noise) else None
        self._noise_position = 0
        self._lines: list[Samples] = []
        self._echo = None if echo is None else _Loudspeaker(echo)

    @property
    def speaking(self) -> bool:
        """Whether a line is being said."""
        return bool(self._lines)

    def say(self, line: Samples) -> None:
        """Say a line from the next frame on, over what is being said."""
        if len(line):
            self._lines.append(line)

    def hush(self) -> None:
        """Stop in the middle of a word."""
        self._lines.clear()

    def overhear(self, rate: int, window: int, segments: Sequence[Segment]) -> None:
        """Take what the bot played in a window: it is picked up later."""
        if self._echo is not None:
            self._echo.play(rate, window, segments)

    def frame(self) -> Samples:
        """The next 20 ms."""
        mixed = np.zeros(FRAME, np.float32)
        for line in self._lines:
            piece = line[:FRAME]
            mixed[: len(piece)] += piece
        self._lines = [line[FRAME:] for line in self._lines if len(line) > FRAME]
        if self._noise is not None:
            places = np.arange(self._noise_position, self._noise_position + FRAME)
            mixed += self._noise.take(places, mode="wrap")
            self._noise_position = int(places[-1] + 1) % len(self._noise)
        if self._echo is not None:
            mixed += self._echo.frame()
        return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


class _Loudspeaker:
    """Carries the bot's voice into a microphone, later and quieter."""

    def __init__(self, echo: Echo) -> None:
        # A window is known when it is over: that is the first 20 ms of the way.
        self._waiting: npt.NDArray[np.float32] = np.zeros(
            max(round(echo.delay * RATE) - FRAME, 0), np.float32
        )
        self._gain = np.float32(10 ** (echo.level / 20))
        self._resampler: StreamResampler | None = None

    def play(self, rate: int, window: int, segments: Sequence[Segment]) -> None:
        size = rate // TICKS_PER_SECOND
        sound = np.zeros(size, np.int16)
        for segment in segments:
            begin = segment.position - window * size
            # What continued its timeline late sounded before this window.
            samples = segment.samples[max(-begin, 0) :]
            begin = max(begin, 0)
            samples = samples[: max(size - begin, 0)]
            sound[begin : begin + len(samples)] = samples
        if self._resampler is None or self._resampler.from_rate != rate:
            self._resampler = live_resampler(rate, RATE)
        heard = self._resampler.process(sound).astype(np.float32) * self._gain
        self._waiting = np.concatenate((self._waiting, heard))

    def frame(self) -> npt.NDArray[np.float32]:
        frame = self._waiting[:FRAME]
        self._waiting = self._waiting[FRAME:]
        if len(frame) < FRAME:
            frame = np.concatenate((frame, np.zeros(FRAME - len(frame), np.float32)))
        return frame
