"""Voice activity detection: how much does this 20 ms frame sound like somebody speaking here?

webrtcvad alone does not answer that: its thresholds are absolute, it misses quiet speech and takes every
cough for a word. The score adds two things that tell speech from noise at any level: how far the voice
band stands above the noise floor, and how periodic it is,

    z = bias + 2.2 * webrtcvad - 0.6 * snr + 8.2 * pitch * voice

and a gate keeps down what is no louder than the noise has been (`audio.noise`). Tones of machines count as no
speech (`audio.tones`). The coefficients are those of a logistic regression on labelled speech in noise; the
negative weight of `snr` means that loud but unpitched is noise. The detector only scores; starting,
confirming and ending a turn belong to `turns.machine`.

Music, dogs and a television in the room are voices to this detector. Whispering is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import webrtcvad

from fishjam_agents.audio.bands import (
    BAND_STARTS,
    BINS,
    PART_STARTS,
    analysis_window,
    make_spectra,
    transform,
    voice_level,
)
from fishjam_agents.audio.compiled import native
from fishjam_agents.audio.echo import Echo, EchoSource
from fishjam_agents.audio.noise import GATE, Change, NoiseFloors, NoiseLevel
from fishjam_agents.audio.pitch import Pitch
from fishjam_agents.audio.samples import Samples
from fishjam_agents.audio.tones import Tones

if TYPE_CHECKING:
    from fishjam_agents.audio._native import Detector as CompiledDetector

SAMPLE_RATE = 16000
"""The rate that the detector hears, Hz."""

FRAME_SAMPLES = 320
"""Samples in the 20 ms frame that the detector takes."""

PresetName = Literal["default", "sensitive", "noisy"]
"""`sensitive` for quiet talkers in quiet rooms, `noisy` for places with other voices."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Readiness to assume speech.

    Attributes:
        bias: The intercept of the score: higher hears more, and more that is not there.
        start: What the scores of successive frames must add up to (a sum that leaks to no less than 0)
            before the turn machine suspects speech; 4 takes two good frames.
    """

    bias: float
    start: float


PRESETS: dict[PresetName, Preset] = {
    "default": Preset(bias=-3.45, start=4.0),
    "sensitive": Preset(bias=-2.95, start=4.0),
    "noisy": Preset(bias=-3.95, start=6.0),
}
"""Missed utterances and false starts in babble, per minute, on synthetic streams: 1.4 % and 1.6 for
`default`, 0.7 % and 1.8 for `sensitive`, 3.9 % and 0 for `noisy`; outside babble nearly none."""


class Decision(NamedTuple):
    """Result of the detector for one 20 ms frame."""

    score: float
    """Evidence for speech after the level gate, -3 to 3; the turn machine sums it up. Only an upper bound is
    promised, -1, below the gate while nothing is being summed up (`Detector.feed`, `accumulating`)."""
    voiced: bool
    """The score is positive."""
    tail: bool
    """Not voiced, perhaps, but it may be the soft end of a word: the speech that is on may go on."""
    level: float
    """Level of the voice band, 250 Hz to 2 kHz, dBFS (power of full scale = 1), not below -100."""
    noise: float
    """Mean level of what is not speech, dBFS."""
    snr: float
    """Height of voiced frames above `noise`, dB, a slow mean; 0 before the first of them."""


_WEBRTC_WEIGHT = 2.2
_SNR_WEIGHT = -0.6
PITCH_WEIGHT = 8.2

FFT = 512
"""Samples of a frame's spectrum: the last 32 ms."""

_LEVEL_RATE = 0.05
_UNCHANGED = Change.NONE
_NOTHING: Samples = np.zeros(FRAME_SAMPLES, np.int16)

_Floats = npt.NDArray[np.float32]


class _Scratch:
    """Buffers in which a frame is processed: arrays that hold nothing between two frames.

    At 20 ms a frame the price of numpy is per call and per cache line: with arrays of their own a hundred
    detectors would not find them in the cache.
    """

    def __init__(self) -> None:
        self._window: _Floats = analysis_window(FFT)
        self._sound: _Floats = np.zeros(2 * FRAME_SAMPLES, np.float32)
        self._windowed: _Floats = np.empty(FFT, np.float32)
        self._spectrum, self._spectrum_parts = make_spectra(FFT)
        self._pitch = Pitch()
        self.parts: _Floats = np.empty(2 * BINS, np.float32)
        self._old = self._sound[:FRAME_SAMPLES]
        self._new = self._sound[FRAME_SAMPLES:]
        self._transformed = self._sound[2 * FRAME_SAMPLES - FFT :]
        self._fours = self._sound.reshape(-1, 4)

    def bands(self, before: Samples, frame: Samples) -> list[float]:
        """Take two frames, and give the power in each band."""
        self._old[:] = before
        self._new[:] = frame
        transform(np.multiply(self._transformed, self._window, out=self._windowed), self._spectrum)
        # Real and imaginary parts side by side: one square and one sum are enough.
        np.square(self._spectrum_parts, out=self.parts)
        powers: list[float] = np.add.reduceat(self.parts, PART_STARTS).tolist()
        return powers

    def pitch(self) -> float:
        """Return how periodic the two frames are, 0 to 1 (`Pitch.strength`)."""
        return self._pitch.strength(self._fours)


class _Local(threading.local):
    """Scratch arrays of this thread."""

    def __init__(self) -> None:
        self.scratch = _Scratch()


_local = _Local()


def make_webrtc() -> Callable[[bytes, int, int], bool]:
    """Make a webrtcvad: a function of 16-bit PCM, its rate and the number of its samples."""
    # Mode 2: modes 0 and 1 score the same here, mode 3 misses twice as many utterances.
    is_speech: Callable[[bytes, int, int], bool] = webrtcvad.Vad(2).is_speech
    return is_speech


class Detector:
    """Scores one microphone's frames; one object per stream, causal, no look-ahead.

    It is the reference: what runs is its compiled twin (`default_detector`), where that was built.

    Before the first frame it was silent, as far as is known: speech is found that begins with it.

    Args:
        preset: How readily speech is assumed, a key of `PRESETS`.

    Attributes:
        start: Sum of scores at which the turn machine suspects speech.
        echo: The echo expected in the last frame; None while none is.
        before: The frame before the last.
        tones: Tells the tones of machines.
    """

    def __init__(self, preset: PresetName = "default") -> None:
        self.preset = PRESETS[preset]
        self.start = self.preset.start
        self._bias = self.preset.bias
        self.restart()

    def restart(self) -> None:
        """Forget the noise and who spoke, not the echo: what comes next may be another room, or device."""
        self._is_speech = make_webrtc()
        self._speech = False
        self._last = self.before = _NOTHING
        self._floors = NoiseFloors(len(BAND_STARTS))
        self._noise = NoiseLevel()
        self._level: float | None = None
        self._voiced_level: float | None = None
        self.tones = Tones()
        self.echo: Echo | None = None

    def feed(
        self,
        frame: Samples,
        in_speech: bool,
        accumulating: bool = True,
        playing: EchoSource | None = None,
    ) -> Decision:
        """Score the next frame.

        Args:
            frame: int16 mono, shape (320,): 20 ms at 16 kHz. Not to be changed afterwards.
            in_speech: Whether the turn machine was in speech, suspected or confirmed, after it took the
                decision about the previous frame. While it is, the noise is hardly learned.
            accumulating: Whether it matters how far below zero the score is
                (`turns.machine.TurnMachine.accumulating`). If not, a frame that the level gate keeps
                down is not searched for a pitch: a third of the work for a microphone at which nobody speaks.
            playing: What tells the echo of what the bot has just said, so that it is no speech; None while it
                is silent, or where no echo is to be expected.
        """
        self.take(frame, in_speech)
        scratch = _local.scratch
        bands = scratch.bands(self.before, frame)
        level = voice_level(bands)
        z, voice = self.weigh(
            bands, level, accumulating, None if playing is None else playing.expect(bands, level)
        )
        if voice:
            z += PITCH_WEIGHT * scratch.pitch() * voice
        if z <= 0:
            self.tones.rest()
        elif self.tones.hears(sum(bands), scratch.parts):
            z = -1.0
        return self.decide(z, level)

    def take(self, frame: Samples, in_speech: bool) -> None:
        """Take a frame: the first step of `feed`, which `vad_batch` does for many detectors at once."""
        if self._level is not None:
            # The previous frame counts as noise, or not, now that its fate is known.
            change = self._noise.learn(self._level, in_speech, self.echo is not None)
            if change is not _UNCHANGED:
                self._change(change)
        self._speech = self._is_speech(frame.tobytes(), SAMPLE_RATE, FRAME_SAMPLES)
        self.before, self._last = self._last, frame
        self.tones.take(frame)

    def _change(self, change: Change) -> None:
        if change is Change.BEGUN:
            self._floors.begin_change()
            return
        self._floors.change()
        # Frames of the other noise may have passed for a voice, before it was known.
        self._voiced_level = None

    def weigh(
        self, bands: Sequence[float], level: float, accumulating: bool, echo: Echo | None
    ) -> tuple[float, float]:
        """Compare a frame with the noise: the second step.

        Returns:
            The score without its pitch, and the share of that which counts; 0 where it need not be looked
            for.
        """
        self.echo = echo
        above = self._floors.above(bands, () if echo is None else echo.bands)
        snr = sum(above) / 50
        voice = min((above[1] + above[2] + above[3]) / 30, 1.0)
        z = self._bias + _SNR_WEIGHT * snr
        if self._speech:
            z += _WEBRTC_WEIGHT
        gated = level <= self._noise.mean + GATE
        # Where even a perfect pitch would leave the lowest score there is, it need not be looked for.
        if z + PITCH_WEIGHT * voice > -3.0 and (accumulating or not gated):
            return z, voice
        return z, 0.0

    def decide(self, z: float, level: float) -> Decision:
        """Decide on a frame: the last step.

        Args:
            z: Its score.
            level: Of its voice band, dBFS.
        """
        echoing = self.echo is not None and level < self.echo.level
        self._level = level
        noise = self._noise.mean
        score = -3.0 if z < -3.0 else min(z, 3.0)
        if score > -1.0 and (level < noise + self._noise.range or echoing):
            score = -1.0
        voiced = score > 0.0
        voiced_level = self._voiced_level
        if voiced:
            if voiced_level is None:
                voiced_level = level
            else:
                voiced_level += _LEVEL_RATE * (level - voiced_level)
            self._voiced_level = voiced_level
        snr = 0.0 if voiced_level is None else voiced_level - noise
        tail = z > -1.5 and level > noise + GATE and not echoing
        return Decision(score, voiced, tail, level, noise, snr)


def default_detector(preset: PresetName = "default") -> Detector | CompiledDetector:
    """Make a detector: the compiled one, a sixth of the price, or `Detector` where there is none.

    Both score the same but for the last digits of single precision, in which they transform a frame: some
    thousandths in the worst of cases. Tests hold them to a hundredth.

    Args:
        preset: As `Detector` has it.
    """
    if native is None:
        return Detector(preset)
    bias, start = PRESETS[preset].bias, PRESETS[preset].start
    return native.Detector(bias, start, Decision, make_webrtc)
