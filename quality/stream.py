"""Input of a microphone, with the truth about it: sounds at known times over background noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_fixtures.corpus import LEVEL, RATE, Utterance
from fishjam_agents.audio.samples import Samples
from quality.sounds import Wave, at_level, to_samples


@dataclass(frozen=True, slots=True)
class Label:
    """A sound in a stream. Seconds.

    Attributes:
        kind: `speech`, or the name of a burst.
        start: First labelled sample.
        end: One past the last.
        pause: Where a pause that somebody put into a turn begins and ends, None without one.
    """

    kind: str
    start: float
    end: float
    pause: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Some time of one microphone.

    Attributes:
        samples: int16 mono at 16 kHz, shape (n,).
        labels: Its sounds in order of time; they do not overlap.
    """

    samples: Samples
    labels: tuple[Label, ...]

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / RATE


class DecisionLog:
    """Puts sounds one after the other, then a bed under all of them."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, Wave]] = []
        self._labels: list[Label] = []
        self._end = 0

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._end / RATE

    def wait(self, seconds: float) -> None:
        """Nothing happens for a while, counted from the last labelled sample."""
        self._end += round(seconds * RATE)

    def say(self, utterance: Utterance, level: float) -> None:
        """Someone speaks at `level` dBFS; the first labelled sample lies at the present end."""
        start = self._put(utterance, level)
        self._labels.append(Label("speech", start / RATE, self.seconds))

    def say_with_pause(self, before: Utterance, pause: float, after: Utterance, level: float) -> None:
        """One turn of two parts; `pause` seconds lie between the labels of the parts."""
        start = self._put(before, level)
        quiet_from = self.seconds
        self.wait(pause)
        quiet_to = self.seconds
        self._put(after, level)
        self._labels.append(Label("speech", start / RATE, self.seconds, (quiet_from, quiet_to)))

    def _put(self, utterance: Utterance, level: float) -> int:
        start = self._end
        louder = np.float32(10 ** ((level - LEVEL) / 20))
        self._pieces.append((start - utterance.start, utterance.samples * louder))
        self._end = start + utterance.end - utterance.start
        return start

    def burst(self, kind: str, wave: Wave, level: float) -> None:
        """A sound whose RMS is `level` dBFS over its length."""
        start = self.seconds
        self._pieces.append((self._end, at_level(wave, level)))
        self._end += len(wave)
        self._labels.append(Label(kind, start, self.seconds))

    def stream(self, bed: Wave | None = None) -> Stream:
        """Return the microphone's input; `bed` is as long as the tape or longer, None is digital silence."""
        total = np.zeros(self._end, np.float32)
        for start, wave in self._pieces:
            first, last = max(start, 0), min(start + len(wave), self._end)
            total[first:last] += wave[first - start : last - start]
        if bed is not None:
            total += bed[: self._end]
        return Stream(to_samples(total), tuple(self._labels))


def labels_of(labels: Sequence[Label], *, speech: bool) -> list[Label]:
    """The speech among the labels, or all that is none."""
    return [label for label in labels if (label.kind == "speech") is speech]
