"""Voice detectors that only judge a frame: level, noise and echo are followed for them here.

`Webrtc` and `Energy` are the two that need nothing else; both are worse than `vad.Detector` by far
(docs/quality.md) and are there to compare with, and for those who must have them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import webrtcvad

from fishjam_agents.audio.bands import analysis_window, band_powers, voice_level
from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.noise import GATE, Change, NoiseLevel
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.vad import FRAME_SAMPLES, SAMPLE_RATE, Decision, PresetName

_FFT = 512
_WINDOW = analysis_window(_FFT)
_LEVEL_RATE = 0.05
_LOUDEST_FIRST_NOISE = -55.0


class PlainDetector(ABC):
    """Base of detectors that give one number for each frame; one object per stream.

    Attributes:
        start: Sum of scores at which the turn machine suspects speech.
        echo: The echo expected in the last frame; None while none is.
        noise: Level of what is not speech.
    """

    start = 4.0

    def __init__(self) -> None:
        self.echo: Echo | None = None
        self._buffer = np.zeros(_FFT, np.float32)
        PlainDetector.restart(self)

    def restart(self) -> None:
        """Forget the noise and who spoke, not the echo: what comes next may be another room, or device."""
        self.echo = None
        self.noise = NoiseLevel()
        self._buffer.fill(0.0)
        self._level: float | None = None
        self._voiced_level: float | None = None

    @abstractmethod
    def score(self, frame: Samples, level: float) -> float:
        """Evidence for speech: above 0 is speech; what is beyond -3 and 3 is cut off.

        Args:
            frame: int16 mono, shape (320,).
            level: Of its voice band, dBFS.
        """

    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
    ) -> Decision:
        """Score the next frame; the arguments are those of `vad.Detector.feed`."""
        if self._level is not None:
            change = self.noise.learn(self._level, in_speech, self.echo is not None)
            if change is Change.DONE:
                self._voiced_level = None
        self._buffer[:-FRAME_SAMPLES] = self._buffer[FRAME_SAMPLES:]
        self._buffer[-FRAME_SAMPLES:] = frame
        bands = band_powers(self._buffer, _WINDOW)
        level = voice_level(bands)

        score = min(max(self.score(frame, level), -3.0), 3.0)
        noise = self.noise.mean
        self._level = level
        echoing = self._in_echo(bands, level, playing)
        if echoing:
            score = min(score, -1.0)
        voiced = score > 0
        if voiced:
            before = level if self._voiced_level is None else self._voiced_level
            self._voiced_level = before + _LEVEL_RATE * (level - before)
        snr = 0.0 if self._voiced_level is None else self._voiced_level - noise
        tail = score > -1.5 and level > noise + GATE and not echoing
        return Decision(score, voiced, tail, level, noise, snr)

    def _in_echo(self, bands: list[float], level: float, playing: EchoSource | None) -> bool:
        self.echo = None if playing is None else playing.expect(bands, level)
        return self.echo is not None and level < self.echo.level


class Webrtc(PlainDetector):
    """webrtcvad alone, three frames of it for a suspicion.

    Args:
        preset: `sensitive` is its mode 1, `default` mode 2, `noisy` mode 3.
    """

    _MODES: ClassVar[Mapping[PresetName, int]] = {"sensitive": 1, "default": 2, "noisy": 3}

    def __init__(self, preset: PresetName = "default") -> None:
        super().__init__()
        self._mode = self._MODES[preset]
        self._webrtc = webrtcvad.Vad(self._mode)

    def restart(self) -> None:
        """Forget the noise, that of webrtcvad, too."""
        super().restart()
        self._webrtc = webrtcvad.Vad(self._mode)

    def score(self, frame: Samples, level: float) -> float:
        """1.5 or -1.5."""
        return 1.5 if self._webrtc.is_speech(frame.tobytes(), SAMPLE_RATE) else -1.5


class Energy(PlainDetector):
    """Whatever is louder than the noise, in the band of the voice.

    Args:
        preset: `sensitive` needs 6 dB, `default` 9 dB, `noisy` 12 dB above a steady noise.
    """

    _ABOVE: ClassVar[Mapping[PresetName, float]] = {"sensitive": 6.0, "default": 9.0, "noisy": 12.0}

    def __init__(self, preset: PresetName = "default") -> None:
        super().__init__()
        self._above = self._ABOVE[preset]

    def score(self, frame: Samples, level: float) -> float:
        """One for every 3 dB that it is louder than it needs to be; more, where the noise is unsteady."""
        if self._level is None:
            # A level alone is no voice: what comes first is noise, unless it is loud.
            self.noise.mean = min(level, _LOUDEST_FIRST_NOISE)
        return (level - self.noise.mean - max(self._above, 3 * self.noise.spread)) / 3
