"""Sounds that are no speech, computed: noises to lie under a conversation, bursts to disturb it.

Every function returns floating point at no particular level; `at_level` sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audio_fixtures.corpus import RATE, Utterance, rng_for, sentences
from fishjam_agents.audio.samples import Samples

Wave: TypeAlias = npt.NDArray[np.float32]
"""Mono at 16 kHz, shape (n,); full scale is 32768."""
Rng: TypeAlias = np.random.Generator


def at_level(wave: npt.NDArray[np.floating], level: float) -> Wave:
    """The wave with an RMS of `level` dBFS over its whole length."""
    rms = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    return (wave * (32768 * 10 ** (level / 20) / rms)).astype(np.float32)


def at_active_level(wave: Wave, level: float) -> Wave:
    """The wave with an RMS of `level` dBFS while it is on: in frames of 20 ms within 20 dB of its mean."""
    size = RATE // 50
    frames = np.square(wave[: len(wave) // size * size].astype(np.float64)).reshape(-1, size).mean(axis=1)
    power = float(frames[frames >= 0.01 * frames.mean()].mean())
    return (wave * (32768 * 10 ** (level / 20) / np.sqrt(power))).astype(np.float32)


def to_samples(wave: Wave) -> Samples:
    """The wave as int16, saturating."""
    samples: Samples = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
    return samples


def _coloured(rng: Rng, seconds: float, slope: float) -> Wave:
    """Noise whose amplitude falls with frequency to the power of `slope`, flat below 20 Hz."""
    size = round(seconds * RATE)
    # A transform whose length has a large prime factor takes many times longer.
    easy = -(-size // 32768) * 32768
    spectrum = np.fft.rfft(rng.standard_normal(easy, np.float32))
    frequency = np.fft.rfftfreq(easy, 1 / RATE)
    return np.fft.irfft(spectrum * np.maximum(frequency, 20.0) ** -slope, easy)[:size].astype(np.float32)


def white(rng: Rng, seconds: float) -> Wave:
    """Equal power at all frequencies."""
    return rng.standard_normal(round(seconds * RATE), np.float32)


def pink(rng: Rng, seconds: float) -> Wave:
    """Power falls by 3 dB per octave: a room."""
    return _coloured(rng, seconds, 0.5)


def brown(rng: Rng, seconds: float) -> Wave:
    """Power falls by 6 dB per octave: a car, a ventilation shaft."""
    return _coloured(rng, seconds, 1.0)


def hum(rng: Rng, seconds: float) -> Wave:
    """Mains at 50 or 60 Hz with 20 harmonics, and pink noise 20 dB below."""
    base = float(rng.choice([50.0, 60.0])) * rng.uniform(0.999, 1.001)
    at = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros(len(at))
    for harmonic in range(1, 21):
        wave += rng.uniform(0.3, 1.0) / harmonic * np.sin(2 * np.pi * (base * harmonic * at + rng.random()))
    return (at_level(wave, -20.0) + at_level(pink(rng, seconds), -40.0)).astype(np.float32)


NOISES: dict[str, Callable[[Rng, float], Wave]] = {"white": white, "pink": pink, "brown": brown, "hum": hum}
"""The stationary ones, which the target for false suspicions names."""


class Babble:
    """Other people talking at once, far enough away that none of them is addressed to the bot.

    Args:
        seed: Chooses the voices, which are none of those that speak to the bot.
        voices: How many.
    """

    def __init__(self, seed: int, voices: int = 10) -> None:
        rng = rng_for(seed, "babble")
        spoken = sentences(seed + 7919, voices * 4)
        self._talkers = [_talk(rng, spoken[number::voices]) for number in range(voices)]

    def __call__(self, rng: Rng, seconds: float) -> Wave:
        """Another stretch of the same people."""
        size = round(seconds * RATE)
        total = np.zeros(size, np.float32)
        for talker in self._talkers:
            # The loops differ in length, so the sum repeats itself in no run of the bench.
            shifted = np.roll(talker, int(rng.integers(len(talker))))
            total += np.resize(shifted, size) * np.float32(10 ** (rng.uniform(-3, 3) / 20))
        return total


def _talk(rng: Rng, utterances: Sequence[Utterance]) -> Wave:
    pieces: list[Wave] = []
    for utterance in utterances:
        pieces += [utterance.samples.astype(np.float32), np.zeros(int(rng.integers(RATE // 4)), np.float32)]
    return np.concatenate(pieces)


# --- bursts ---


def cough(rng: Rng, seconds: float) -> Wave:
    """A burst of breath, loud at once and then decaying; no pitch."""
    noise = _band(rng, seconds, rng.uniform(200, 500), rng.uniform(3000, 6000))
    at = np.arange(len(noise)) / RATE
    return (noise * np.minimum(at / 0.01, 1) * np.exp(-at / (0.35 * seconds))).astype(np.float32)


def click(rng: Rng, seconds: float) -> Wave:
    """Mouse, switch, mouth: a few milliseconds, twice when there is time for it."""
    wave = np.zeros(round(seconds * RATE))
    for start in (0.0, 0.7 * seconds) if seconds > 0.05 else (0.0,):
        length = round(rng.uniform(0.002, 0.008) * RATE)
        first = round(start * RATE)
        wave[first : first + length] += (rng.normal(size=length) * np.exp(-np.arange(length) / 30))[
            : len(wave) - first
        ]
    return wave.astype(np.float32)


def knock(rng: Rng, seconds: float) -> Wave:
    """A table or a door: resonances that die away."""
    at = np.arange(round(seconds * RATE)) / RATE
    wave = 0.2 * rng.normal(size=len(at)) * np.exp(-at / 0.004)
    for _ in range(4):
        frequency, decay = rng.uniform(70, 500), rng.uniform(0.1, 0.3) * seconds
        wave += rng.uniform(0.3, 1) * np.sin(2 * np.pi * frequency * at) * np.exp(-at / decay)
    return wave.astype(np.float32)


def grunt(rng: Rng, seconds: float) -> Wave:
    """A voiced cough: a falling voice with some breath. By its sound it could be a short word."""
    voice = _voice(rng, seconds, fall=rng.uniform(0.7, 0.95), formant=rng.uniform(450, 800), width=500)
    breath = _band(rng, seconds, 300, 5000)
    return ((voice / np.std(voice) + 0.3 * breath / np.std(breath)) * _ramps(seconds, 0.015, 0.06)).astype(
        np.float32
    )


def mhm(rng: Rng, seconds: float) -> Wave:
    """Agreement with the mouth closed: two humps of a low voice, the second higher."""
    voice = _voice(rng, seconds, fall=rng.uniform(1.05, 1.25), formant=280, width=150)
    at = np.linspace(0, 1, len(voice))
    humps = 1 - 0.8 * np.exp(-(((at - 0.5) / 0.08) ** 2))
    return (voice * humps * _ramps(seconds, 0.02, 0.04)).astype(np.float32)


BURSTS: dict[str, Callable[[Rng, float], Wave]] = {
    "cough": cough,
    "click": click,
    "knock": knock,
    "grunt": grunt,
    "mhm": mhm,
}
"""Sounds of at most 300 ms that must not end a reply. The function is given their length."""
BURST_SECONDS = (0.08, 0.12, 0.2, 0.3)


def _voice(rng: Rng, seconds: float, fall: float, formant: float, width: float) -> npt.NDArray[np.float64]:
    at = np.arange(round(seconds * RATE)) / RATE
    base = rng.uniform(90, 240)
    phase = 2 * np.pi * np.cumsum(base * fall ** (at / seconds)) / RATE
    wave = np.zeros(len(at))
    for harmonic in range(1, 20):
        gain = np.exp(-(((base * harmonic - formant) / width) ** 2)) + 0.15 / harmonic
        wave += gain * np.sin(harmonic * phase + harmonic * harmonic)
    return wave


def _ramps(seconds: float, rise: float, fall: float) -> npt.NDArray[np.float64]:
    at = np.arange(round(seconds * RATE)) / RATE
    return np.minimum(np.minimum(at / rise, 1), np.clip((seconds - at) / fall, 0, 1))


def _band(rng: Rng, seconds: float, low: float, high: float) -> npt.NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.normal(size=round(seconds * RATE)))
    frequency = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.fft.irfft(spectrum, round(seconds * RATE))
