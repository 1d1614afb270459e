"""Places where people call from, of recorded sound: what is heard behind the speaker.

Every bed is a function of random numbers and seconds, and gives a wave at no particular level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audio_fixtures.corpus import RATE, Utterance
from audio_fixtures.recordings import cries, keys, music, reader
from fishjam_agents.audio.resampling import resample
from quality.sounds import Rng, Wave, at_active_level, at_level, pink

Bed = Callable[[Rng, float], Wave]

_BABBLE = 8
"""Voices at once: none of them can be followed."""


def room(rng: Rng, seconds: float) -> Wave:
    """A quiet room: pink noise."""
    return pink(rng, seconds)


def music_on_hold(rng: Rng, seconds: float) -> Wave:
    """Pieces of music, one after the other."""
    pieces = music()
    order = rng.permutation(len(pieces))
    begin = int(rng.integers(len(pieces[order[0]])))
    whole = np.roll(np.concatenate([pieces[number] for number in order]), -begin)
    return np.resize(whole, _size(seconds)).astype(np.float32)


def typing(rng: Rng, seconds: float) -> Wave:
    """Somebody writes on a loud keyboard: bursts of 2 to 6 s, 5 to 9 keys a second."""
    wave = np.zeros(_size(seconds), np.float32)
    at = 0.0
    while at < seconds:
        until, rate = at + rng.uniform(2.0, 6.0), rng.uniform(5.0, 9.0)
        while at < until:
            key = keys()[int(rng.integers(len(keys())))]
            _lay(wave, key * np.float32(10 ** (rng.uniform(-6, 0) / 20)), at)
            at += rng.exponential(0.7 / rate) + 0.3 / rate
        at += rng.uniform(0.5, 3.0)
    return wave


def crying(rng: Rng, seconds: float) -> Wave:
    """Somebody who cries, laughs and groans, a sound every 2 to 5 s."""
    wave = np.zeros(_size(seconds), np.float32)
    at = rng.uniform(0.0, 3.0)
    while at < seconds:
        sound = cries()[int(rng.integers(len(cries())))]
        _lay(wave, at_level(sound, -23.0), at)
        at += len(sound) / RATE + rng.uniform(2.0, 5.0)
    return wave


class Others:
    """Other people in the room.

    Args:
        utterances: What they say.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = utterances

    def talk(self, rng: Rng, seconds: float, pauses: tuple[float, float]) -> Wave:
        """One of them, with pauses of so many seconds, at an equal level in every utterance."""
        wave = np.zeros(_size(seconds), np.float32)
        at = -rng.uniform(0.0, 2.0)
        while at < seconds:
            utterance = self._utterances[int(rng.integers(len(self._utterances)))]
            _lay(wave, utterance.samples.astype(np.float32), at)
            at += len(utterance.samples) / RATE + rng.uniform(*pauses)
        return wave

    def colleague(self, rng: Rng, seconds: float) -> Wave:
        """A second near voice, which speaks as in a conversation."""
        return self.talk(rng, seconds, (0.3, 2.5))

    def television(self, rng: Rng, seconds: float) -> Wave:
        """A voice without an end, and music 6 dB below it."""
        voice = self.talk(rng, seconds, (0.1, 0.7))
        return at_active_level(voice, -23.0) + at_level(music_on_hold(rng, seconds), -29.0)

    def babble(self, rng: Rng, seconds: float) -> Wave:
        """Many at once, some of them lower or higher than they are; one reads a book."""
        total = np.zeros(_size(seconds), np.float32)
        for _ in range(_BABBLE - 1):
            pitch = rng.uniform(0.85, 1.18)
            voice = self.talk(rng, seconds * pitch + 0.1, (0.05, 0.5))
            changed = resample(np.rint(voice).astype(np.int16), round(RATE * pitch), RATE)
            total += np.resize(changed, len(total)) * np.float32(10 ** (rng.uniform(-3, 3) / 20))
        book = np.roll(reader(), int(rng.integers(len(reader()))))
        return total + at_level(np.resize(book, len(total)), -23.0)


def later(bed: Bed) -> Bed:
    """The same from the middle of a call on; before that, a quiet room."""

    def begins(rng: Rng, seconds: float) -> Wave:
        wave = at_active_level(bed(rng, seconds), -23.0)
        wave[: len(wave) // 2] = 0.0
        return wave + at_level(room(rng, seconds), -50.0)

    return begins


def _size(seconds: float) -> int:
    return round(seconds * RATE)


def _lay(wave: Wave, sound: Wave, at: float) -> None:
    """Add a sound to the wave at a time, as far as it lies in it."""
    first = round(at * RATE)
    begin, end = max(first, 0), min(first + len(sound), len(wave))
    if begin < end:
        wave[begin:end] += sound[begin - first : end - first]
