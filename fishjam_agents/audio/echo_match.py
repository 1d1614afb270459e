"""Recognising an echo by its waveform: is this sound what was just played, and how much later?

A level tells little within a tenth of a second, a waveform tells nearly everything: two voices, or two
sentences of one voice, hardly ever go alike for long. The answer comes before a sound is long enough to
interrupt, so that a loudspeaker that is new costs a pause and not the reply.
"""

from __future__ import annotations

from math import log10
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.bands import BAND_STARTS, BINS, WINDOW_SECONDS
from fishjam_agents.audio.compiled import native
from fishjam_agents.audio.resampling import resample
from fishjam_agents.audio.samples import Samples

MAX_DELAY = 0.52
"""Longest delay of an echo that is looked for, seconds."""
_LEAST_SECONDS = 0.08
"""Sound below this length is not judged."""
_RATE = 8000
"""Hz at which sounds are compared: it holds all bands of the echo guard."""
_ALIKE = ((0.15, 0.75), (0.2, 0.66), (1e9, 0.6))
"""Least likeness of an echo, for sound of less than so many seconds. Over 200 pairs of sentences the highest
of no echo is 0.67 at 0.1 s, 0.63 at 0.15 s, 0.55 at 0.2 s and 0.46 at 0.3 s. Echoes at -6 to -20 dB, with 40
reflections and noise of -50 dBFS, reach 0.59 in 19 of 20 cases at 0.2 s and 0.80 in half of them."""
_BLOCK = _RATE // 50
_AUDIBLE = 0.01
"""Share of the loudest 20 ms below which a sound has not begun or is over."""
_COLOUR = 6.0
"""dB by which a loudspeaker may favour a band; what is louder there is noise."""
_EMPHASIS = 0.9
_BESIDE = 8
"""Samples on either side of a known delay that are it, 1 ms."""
_CLEARLY = 0.8
"""Share of the highest likeness that a known delay must have to be taken. A stretch a period earlier has 0.8
to 0.95 of it, any other one less."""
_LEAST_ENERGY = 0.02
"""Share of the loudest stretch's energy below which one that was played cannot be what is heard."""

_Doubles = npt.NDArray[np.float64]


class EchoMatch(NamedTuple):
    """An echo that was recognised."""

    delay: float
    """Seconds by which it follows what was played."""
    level: float
    """Level above that, dB."""
    gain: list[float]
    """The same in each band."""


def match_echo(
    heard: Samples, heard_rate: int, played: Samples, played_rate: int, known: float | None = None
) -> EchoMatch | None:
    """See whether a sound is something that was played.

    Args:
        heard: int16 mono, shape (n,).
        heard_rate: Its sample rate, Hz.
        played: What was played; it ends when `heard` ends and begins as much earlier as a delay may be.
        played_rate: Its sample rate, Hz.
        known: Delay at which an echo is known to come, seconds: it is taken unless another one goes clearly
            more alike. A short sound goes alike with itself a period of the voice later.

    Returns:
        None when it is something else, or too short to tell.
    """
    if not heard.any() or not played.any():
        return None
    sound, after = _trimmed(resample(heard, heard_rate, _RATE).astype(np.float64))
    voice = resample(played, played_rate, _RATE).astype(np.float64)
    end = len(voice) - after
    voice = voice[max(end - len(sound) - round(MAX_DELAY * _RATE), 0) : end]
    seconds = len(sound) / _RATE
    if seconds < _LEAST_SECONDS or len(voice) < len(sound):
        return None
    alike = _likeness(sound, voice)
    place = _place(np.abs(alike), known)
    likeness = float(abs(alike[place]))
    if likeness < next(least for below, least in _ALIKE if seconds < below):
        return None
    source = voice[place : place + len(sound)]
    # What does not go alike is noise or somebody's voice, or the room's reverberation: half of it counts.
    gain = 10 * log10(float(sound @ sound) / float(source @ source)) + 10 * log10(likeness)
    gains = [min(each, gain + _COLOUR) for each in _gains(sound, source)]
    return EchoMatch((len(voice) - len(sound) - place) / _RATE, gain, gains)


def _place(alike: _Doubles, known: float | None) -> int:
    """Index of the stretch that goes most alike."""
    best = int(alike.argmax())
    if known is None:
        return best
    here = len(alike) - 1 - round(known * _RATE)
    first = max(here - _BESIDE, 0)
    around = alike[first : max(here + _BESIDE + 1, 0)]
    if not len(around) or around.max() < _CLEARLY * alike[best]:
        return best
    return first + int(around.argmax())


def _trimmed(sound: _Doubles) -> tuple[_Doubles, int]:
    """A sound without what is silent before and after it, and how many samples are after it."""
    blocks = sound[: len(sound) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    energies = np.einsum("ij,ij->i", blocks, blocks)
    audible = np.flatnonzero(energies > _AUDIBLE * energies.max(initial=0.0))
    if not len(audible):
        return sound[:0], 0
    end = (int(audible[-1]) + 1) * _BLOCK
    return sound[int(audible[0]) * _BLOCK : end], len(sound) - end


def _likeness(sound: _Doubles, voice: _Doubles) -> _Doubles:
    """`likeness`, where it was compiled a third of the price."""
    if native is None or len(voice) > native.LIKENESS_LONGEST:
        return likeness(sound, voice)
    alike: _Doubles = np.empty(len(voice) - len(sound) + 1)
    native.likeness(sound, voice, alike)
    return alike


def likeness(sound: _Doubles, voice: _Doubles) -> _Doubles:
    """Return how alike `sound` and each stretch of `voice` are that is as long: -1 to 1.

    Args:
        sound: At 8 kHz, shape (n,), two samples or more.
        voice: Shape (m,), as long or longer.

    Returns:
        Shape (m - n + 1,).
    """
    count, size = len(voice) - len(sound) + 1, len(sound)
    # Around the end of `voice` comes its beginning again, in no product that is looked at.
    length = 1 << (len(voice) - 1).bit_length()
    around = np.concatenate((voice, np.zeros(length - len(voice)), voice[:1]))
    spectrum = np.fft.rfft(around[:length]) * np.conj(np.fft.rfft(sound, length))
    products = np.fft.irfft(spectrum, length)
    # The same of both without their low tones: what is one sample apart in either is known, too. Those at the
    # ends of a stretch, which have no neighbour in it, are taken out.
    later = np.concatenate((products[-1:], products[:count]))
    later -= sound[0] * np.concatenate((around[length - 1 : length], around[:count]))
    forward = np.roll(products, -1)[:count] - sound[-1] * around[size : size + count]
    earlier = products[:count] - sound[-1] * around[size - 1 : size - 1 + count]
    emphasised = later[1:] + _EMPHASIS**2 * earlier - _EMPHASIS * (later[:-1] + forward)
    # Low tones alone go alike too easily, high ones alone are easily covered by noise.
    result: _Doubles = 0.5 * (
        _coefficients(products[:count], sound, voice)
        + _coefficients(emphasised, _emphasised(sound), _emphasised(voice))
    )
    return result


def _coefficients(products: _Doubles, sound: _Doubles, voice: _Doubles) -> _Doubles:
    """Correlation of `sound` with each stretch of `voice`, of which the sums of products are known."""
    size = len(sound)
    running = np.concatenate(((0.0,), np.cumsum(voice * voice)))
    energy = running[size:] - running[:-size]
    energy = np.maximum(energy, _LEAST_ENERGY * energy.max())
    result: _Doubles = products / np.sqrt(float(sound @ sound) * energy + 1e-9)
    return result


def _emphasised(sound: _Doubles) -> _Doubles:
    return sound[1:] - _EMPHASIS * sound[:-1]


def _gains(sound: _Doubles, source: _Doubles) -> list[float]:
    starts = [round(start / WINDOW_SECONDS * len(sound) / _RATE) for start in (*BAND_STARTS, BINS)]
    window = np.hanning(len(sound))
    heard, played = (
        np.add.reduceat(np.square(np.abs(np.fft.rfft(wave * window)))[: starts[-1]], starts[:-1])
        for wave in (sound, source)
    )
    return [10 * log10((h + 1.0) / (p + 1.0)) for h, p in zip(heard.tolist(), played.tolist(), strict=True)]
