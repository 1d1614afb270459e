"""Input of a simulated microphone: lines, background noise, the bot's voice from the loudspeaker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.formats import FRAMES_PER_SECOND
from fishjam_agents.audio.resampling import StreamResampler, live_resampler
from fishjam_agents.audio.samples import Samples, saturate
from fishjam_agents.server.media.playout import Segment
from fishjam_agents.simulation.sounds import RATE
from fishjam_agents.testing.scenario import MAX_ECHO_DELAY, Echo

FRAME = RATE // FRAMES_PER_SECOND
"""Samples of 20 ms."""
_LONGEST = round(MAX_ECHO_DELAY * RATE)


class CallerAudio:
    """Mixes a caller's sound, 20 ms at a time: int16 mono at 16 kHz. No clock.

    Args:
        noise: Noise to repeat, None without any.
        echo: How the bot comes back, None if it does not.

    Attributes:
        echo: The same; may be changed, as by somebody who takes the headset off.
    """

    def __init__(self, noise: Samples | None = None, echo: Echo | None = None) -> None:
        self._noise = noise if noise is not None and len(noise) else None
        self._noise_position = 0
        self._lines: list[Samples] = []
        self.echo = echo
        self._loudspeaker = _Loudspeaker()

    @property
    def speaking(self) -> bool:
        """True while a line is being said."""
        return bool(self._lines)

    def say(self, line: Samples) -> None:
        """Say a line from the next frame on, over what is being said."""
        if len(line):
            self._lines.append(line)

    def stop_speaking(self) -> None:
        """Stop in the middle of a word."""
        self._lines.clear()

    def overhear(self, rate: int, window: int, segments: Sequence[Segment]) -> None:
        """Take what the bot played in a window: it is picked up later."""
        self._loudspeaker.play(rate, window, segments)

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
        if self.echo is not None:
            mixed += self._loudspeaker.frame(self.echo)
        return saturate(np.rint(mixed))


class _Loudspeaker:
    """Carries the bot's voice into a microphone, later and quieter."""

    def __init__(self) -> None:
        self._played: npt.NDArray[np.float32] = np.zeros(_LONGEST, np.float32)
        self._resampler: StreamResampler | None = None

    def play(self, rate: int, window: int, segments: Sequence[Segment]) -> None:
        size = rate // FRAMES_PER_SECOND
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
        heard = self._resampler.process(sound)
        self._played = np.concatenate((self._played[len(heard) :], heard.astype(np.float32)))

    def frame(self, echo: Echo) -> npt.NDArray[np.float32]:
        # A window is known when it is over: that is the first 20 ms of the way.
        start = len(self._played) - max(round(echo.delay * RATE), FRAME)
        return self._played[start : start + FRAME] * np.float32(10 ** (echo.level / 20))
