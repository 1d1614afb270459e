"""Sounds that a test can let a caller make without a recording: computed, the same every time.

To voice detection `speech` is speech, a `cough` raises a suspicion and comes to nothing, `noise` is nothing.
Nobody would take them for real: what a recogniser makes of words needs recordings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.samples import FULL_SCALE, Samples, saturate

RATE = 16000
"""Hz of every sound here, and of the microphones of a `MemoryCall`."""
LEVEL = -23.0
"""dBFS (RMS) of speech while it is on: a headset at a usual setting."""

_VOWELS = np.array([(730, 1090, 2440), (660, 1720, 2410), (570, 840, 2410), (640, 1190, 2390)], float)
"""Formants in Hz of the vowels of hod, had, hawed and hud (Peterson and Barney 1952, men's means)."""
_BANDWIDTH = 90.0
_SYLLABLE = (0.16, 0.28)
_HIGHEST = 4000.0


def speech(seconds: float, *, pitch: float = 120.0, level: float = LEVEL, seed: int = 0) -> Samples:
    """Somebody babbles without a pause: vowels on a gliding pitch, four or five syllables a second.

    Args:
        seconds: How long, at least 0.1.
        pitch: Mean pitch of the voice, 80 to 220 Hz: 120 for a low one, 200 for a high one.
        level: RMS, dBFS.
        seed: Chooses syllables. Another length or pitch has others, too; the very same sound again, while a
            parrot repeats it, may be taken for an echo.

    Returns:
        int16 mono at 16 kHz, shape (n,).
    """
    if not seconds >= 0.1:
        raise ValueError(f"speech of {seconds:g} s is no word: give at least 0.1 s")
    if not 80 <= pitch <= 220:
        raise ValueError(f"nobody speaks at {pitch:g} Hz: give a pitch of 80 to 220 Hz")
    at = np.arange(round(seconds * RATE)) / RATE
    # A sentence falls, and no voice holds a tone.
    glide = pitch * (1.1 - 0.2 * at / seconds + 0.03 * np.sin(2 * np.pi * 3.1 * at))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    rng = np.random.default_rng([seed, round(1000 * seconds), round(pitch)])
    lengths = rng.uniform(*_SYLLABLE, size=int(seconds / _SYLLABLE[0]) + 1)
    starts = np.cumsum(lengths) - lengths
    index = np.searchsorted(starts, at, side="right") - 1
    formants = _VOWELS[rng.integers(len(_VOWELS), size=len(lengths))[index]]
    wave = np.zeros(len(at))
    for harmonic in range(1, int(_HIGHEST / pitch) + 1):
        frequency = harmonic * glide
        gain = sum(1 / (1 + ((frequency - formants[:, n]) / _BANDWIDTH) ** 2) for n in range(3))
        # A glottal pulse falls by 12 dB an octave, lips give 6 back.
        wave += (gain + 0.02) / harmonic * np.sin(harmonic * phase)
    within = (at - starts[index]) / lengths[index]
    loudness = 0.25 + 0.75 * np.sin(np.pi * within) ** 2
    return _samples(wave * loudness * _edges(len(at), 0.01), level)


def cough(seconds: float = 0.2, *, level: float = LEVEL) -> Samples:
    """A hoarse bark: while the bot speaks it is suspected, silences the bot for a moment, and is withdrawn.

    Args:
        seconds: How long, 0.1 to 0.3: what is longer may be a word.
        level: RMS, dBFS.

    Returns:
        int16 mono at 16 kHz, shape (n,).
    """
    if not 0.1 <= seconds <= 0.3:
        raise ValueError(f"a cough of {seconds:g} s is none: give 0.1 to 0.3 s")
    bark = speech(seconds, pitch=160.0).astype(float)
    size = len(bark)
    hoarse = 0.3 * np.std(bark) * np.random.default_rng(3).standard_normal(size)
    return _samples((bark + hoarse) * np.exp(-np.arange(size) / size) * _edges(size, 0.003), level)


def noise(seconds: float, *, level: float = -50.0) -> Samples:
    """Pink noise: a quiet room.

    Args:
        seconds: How long.
        level: RMS, dBFS.

    Returns:
        int16 mono at 16 kHz, shape (n,).
    """
    size = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(4).standard_normal(size))
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    return _samples(np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 20.0)), size), level)


def silence(seconds: float) -> Samples:
    """Nothing: int16 mono at 16 kHz, shape (n,)."""
    return np.zeros(round(seconds * RATE), np.int16)


def _edges(size: int, seconds: float) -> npt.NDArray[np.float64]:
    """A fade in and out, so that it does not click."""
    ramp = np.arange(1, size + 1) / (seconds * RATE)
    return np.minimum(1.0, np.minimum(ramp, ramp[::-1]))


def _samples(wave: npt.NDArray[np.float64], level: float) -> Samples:
    loud = wave * (FULL_SCALE * 10 ** (level / 20) / np.sqrt(np.mean(np.square(wave))))
    return saturate(np.rint(loud))
