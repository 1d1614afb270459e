"""Tones of machines: beeps, DTMF, dial and busy tones, fax, hum, a kettle's whistle. They are no voices.

Three things tell. A frame whose power lies in one narrow line, or in two that are no harmonics of each other,
is no voice (*pure*). Nor are two in a row with nearly all power in few lines (*narrow*), unless they change.
And no throat holds its pitch and sound for a tenth of a second as machines do (*steady*): of 5600 voiced
frames of five people's recorded speech, none did.

The tones are those of ITU-T E.180 (supplement 2) in the world's telephone networks: 330 to 480 and 620 Hz,
continuous, cadenced or modulated by 16 to 25 Hz; of Q.23 (DTMF, 697 to 1633 Hz); T.30 (1100 and 2100 Hz);
E.180's special information tone (950, 1400, 1800 Hz).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fishjam_agents.audio.correlation import RowCorrelation
from fishjam_agents.audio.samples import Samples

_LOW = 9
"""Bin of 281 Hz: the lowest dial tone is of 330 Hz, and lines are four bins wide."""
_NARROW_LOW = 13
_NARROW_SHARE = 0.8
_NARROW = 0.22
"""Sum of squared powers in units of the squared sum: 0.25 for two lines, 0.5 for one."""
_MAYBE_PURE = 0.17
_PURE_RESIDUE = 0.02
_HARMONIC = 1.45
_NO_FUNDAMENTAL = 21
"""Two lines farther apart than this ratio may be harmonics of a voice (3:2, 2:1), unless both lie above 656
Hz as those of DTMF do: a voice has something below."""
_LINE = 2
"""Bins on each side that a line fills."""
_SUNG_BELOW = 32
"""Bin of 1000 Hz: a line below it that does not hold still may be sung."""

FRAMES = 8
"""Frames by which steadiness is judged."""
_FRAME = 320
_FOLD = 4
"""Steadiness is judged at 4 kHz."""
_RECENT = 160
_LAGS = slice(240, 441)
"""60 to 110 ms: 350 and 440 Hz come together again after 100 ms, tones modulated by 16 Hz after 62.5 ms."""
_CHECKED = (6, 8)
"""Frames of a sound at which its steadiness is judged, for the first times: 8.5 voiced ones open a turn."""
_CHECK_EVERY = 4
_STEADY = 0.98
"""Correlation, which noise 20 dB below a tone brings down to 0.99. A vowel sung with a vibrato of 1 % of its
pitch exceeds it for a quarter of the time, one held as straight as can be for most of it."""
_LIVELY = 0.9
_FEW_LINES = 0.15
"""As `_NARROW`: three lines, or fewer."""
_ONE_LINE = 0.4
_ONE_LINE_LOW = 6
_PERIODS = slice(10, 91)
"""44 to 400 Hz."""
_SAME = 0.85
_MAINS_PERIODS = (33, 34, 40, 66, 67, 80)
"""Those of 50 and 60 Hz and of their double, in samples at 4 kHz."""
_LEAST = 1e-3

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_SILENCE: Samples = np.zeros(_FRAME, np.int16)
_ONES: _Floats = np.ones(_FOLD, np.float32)


class Tones:
    """Tells tones in one microphone; one object per stream, fed with every frame.

    Attributes:
        past: The last 160 ms, in frames.
    """

    def __init__(self) -> None:
        self.past: list[Samples] = [_SILENCE] * FRAMES
        self._narrow = 0
        self._sounding = 0
        self._steadiness = 0.0
        self._hums = False
        self._before = False

    def take(self, frame: Samples) -> None:
        """Remember a frame: int16 mono at 16 kHz, shape (320,). Not to be changed afterwards."""
        past = self.past
        past.append(frame)
        del past[0]

    def rest(self) -> None:
        """Take note that the frame is no voice in any case."""
        self._narrow = self._sounding = 0
        self._steadiness = 0.0
        self._hums = self._before = False

    def hears(self, total: float, parts: _Floats) -> bool:
        """Judge the frame that was taken last, which may be a voice.

        Args:
            total: Its power from 94 to 4000 Hz.
            parts: Squares of the real and imaginary parts of its spectrum, in turn; bins of 31.25 Hz.
        """
        if self.begins():
            self.measure()
        powers = parts[::2] + parts[1::2]
        sums = float(np.add.reduce(powers[_LOW:])), float(np.add.reduce(powers[_NARROW_LOW:]))
        return self.judge(total, powers, *sums)

    def begins(self) -> bool:
        """Begin to judge a frame, the first step of `hears`; return whether to measure its steadiness."""
        self._sounding = sounding = self._sounding + 1
        return sounding in _CHECKED or (sounding > _CHECKED[-1] and sounding % _CHECK_EVERY == 0)

    def measure(self) -> None:
        """Measure how steady the sound is."""
        slope = _slopes(self.past)
        self.measured(slope, float(_correlate(slope, _LAGS).max()))

    def measured(self, slope: _Doubles, steadiness: float) -> None:
        """Take how steady the sound is, and see whether it is hum.

        Args:
            slope: Of the last 160 ms, at 4 kHz.
            steadiness: Correlation of the last 40 ms with what began 60 to 110 ms earlier, at its highest.
        """
        self._steadiness = steadiness
        self._hums = False
        if steadiness > _STEADY:
            periods = _correlate(slope, _PERIODS)
            shortest = _PERIODS.start + int((periods > _SAME * periods.max()).argmax())
            self._hums = shortest in _MAINS_PERIODS

    def judge(self, total: float, powers: _Floats, high: float, above: float) -> bool:
        """Judge the frame: the last step of `hears`.

        Args:
            total: Its power from 94 to 4000 Hz.
            powers: Its spectrum.
            high: Its power from 281 Hz.
            above: Its power from 406 Hz.
        """
        if self._hums:
            return True
        tone = self._is_tone(total, powers, high, above)
        # The end of a beep in the middle of a frame is neither narrow nor pure.
        ended = self._before and not tone and self._sounding < _CHECKED[0]
        self._before = tone
        return tone or ended

    def _is_tone(self, total: float, powers: _Floats, high: float, above: float) -> bool:
        if self._steadiness > _STEADY and _has_few_lines(total, powers):
            return True
        narrow = above > _NARROW_SHARE * total and _squares(powers[_NARROW_LOW:]) > _NARROW * above * above
        self._narrow = self._narrow + 1 if narrow else 0
        if self._narrow < 2 and not _is_pure(total, powers[_LOW:], high):
            return False
        lively = self._steadiness < _LIVELY and self._sounding >= _CHECKED[-1]
        return not (lively and int(powers[_LOW:].argmax()) + _LOW < _SUNG_BELOW)


def _squares(powers: _Floats) -> float:
    return float(np.dot(powers, powers))


def _slopes(frames: Iterable[Samples]) -> _Doubles:
    """Slope at 4 kHz, in whole numbers: nothing of 0 Hz and little of what rumbles under everything."""
    sound = np.concatenate([*frames], dtype=np.float32)
    folded = np.dot(sound.reshape(-1, _FOLD), _ONES)
    slopes: _Doubles = (folded[2:] - folded[:-2]).astype(np.float64)
    return slopes


def _correlate(signal: _Doubles, lags: slice) -> _Doubles:
    """Correlation of the last 40 ms with what was some lags earlier, the shortest lag first."""
    recent = signal[-_RECENT:]
    before = signal[-_RECENT - lags.stop + 1 : len(signal) - lags.start]
    energy = np.concatenate(((0.0,), np.cumsum(before * before)))
    energies = (energy[_RECENT:] - energy[:-_RECENT]) * np.dot(recent, recent)
    found: _Doubles = np.correlate(before, recent, "valid") / np.sqrt(energies + _LEAST)
    return found[::-1]


def _has_few_lines(total: float, powers: _Floats) -> bool:
    """Return whether nearly all power lies in one line, or in three that are no low voice's."""
    for low, lines in ((_ONE_LINE_LOW, _ONE_LINE), (_LOW, _FEW_LINES)):
        high = powers[low:]
        share = float(np.add.reduce(high))
        if share > 0.9 * total and float(np.dot(high, high)) > lines * share * share:
            return True
    return False


def _is_pure(total: float, powers: _Floats, high: float) -> bool:
    """Return whether all but a fiftieth of the power lies in one line, or in two close ones."""
    if high < (1 - _PURE_RESIDUE) * total or _squares(powers) < _MAYBE_PURE * high**2:
        return False
    first = int(powers.argmax())
    rest = total - _line(powers, first)
    if rest < _PURE_RESIDUE * total:
        return True
    others = powers.copy()
    others[max(first - _LINE, 0) : first + _LINE + 1] = 0.0
    second = int(others.argmax())
    low, high = sorted((first + _LOW, second + _LOW))
    apart = high > _HARMONIC * low and low < _NO_FUNDAMENTAL
    return not apart and rest - _line(others, second) < _PURE_RESIDUE * total


def _line(powers: _Floats, peak: int) -> float:
    return float(np.add.reduce(powers[max(peak - _LINE, 0) : peak + _LINE + 1]))


_FEWEST = 4
"""Sounds below which one after the other costs less."""


class RowTones:
    """Tells tones in up to `rows` microphones at once, each as it would alone."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._lags = len(range(_LAGS.start, _LAGS.stop))
        self._correlation: RowCorrelation | None = None

    def hear(self, tones: Sequence[Tones], totals: Sequence[float], parts: _Floats) -> list[bool]:
        """Judge the frame that each took last, as `Tones.hears` does.

        Args:
            tones: Of each microphone.
            totals: Power of each frame from 94 to 4000 Hz.
            parts: `parts` of each frame, shape (n, 256).
        """
        due = [each for each in tones if each.begins()]
        if len(due) < _FEWEST:
            for each in due:
                each.measure()
        else:
            self._measure(due)
        powers = parts[:, ::2] + parts[:, 1::2]
        high: list[float] = np.add.reduce(powers[:, _LOW:], axis=1).tolist()
        above: list[float] = np.add.reduce(powers[:, _NARROW_LOW:], axis=1).tolist()
        return [each.judge(*told) for each, *told in zip(tones, totals, powers, high, above, strict=True)]

    def _measure(self, due: Sequence[Tones]) -> None:
        if self._correlation is None:
            self._correlation = RowCorrelation(self._rows, _RECENT, self._lags)
        sounds = np.concatenate([frame for each in due for frame in each.past], dtype=np.float32)
        folded = np.dot(sounds.reshape(-1, _FOLD), _ONES).reshape(len(due), -1)
        slopes = (folded[:, 2:] - folded[:, :-2]).astype(np.float64)
        recent = slopes[:, -_RECENT:]
        before = slopes[:, -_RECENT - _LAGS.stop + 1 : slopes.shape[1] - _LAGS.start]
        energy = np.zeros((len(due), before.shape[1] + 1))
        np.add.accumulate(before * before, axis=1, out=energy[:, 1:])
        energies = energy[:, _RECENT:] - energy[:, :-_RECENT]
        energies *= np.add.reduce(recent * recent, axis=1)[:, None]
        energies += _LEAST
        found = self._correlation.products(before, recent)
        found /= np.sqrt(energies, out=energies)
        highest: list[float] = np.maximum.reduce(found, axis=1).tolist()
        for each, slope, steadiness in zip(due, slopes, highest, strict=True):
            each.measured(slope, steadiness)
