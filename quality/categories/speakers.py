"""Speakers: recorded people who whisper, begin softly, change their device, or pass the handset on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from audio_fixtures.corpus import RATE, Utterance, rng_for
from audio_fixtures.recordings import FRENCH, ITALIAN, Package, missing, prompts
from quality.bench import Bench
from quality.figures import Figure, Part, Table, per_cent
from quality.microphone import Span, listen
from quality.places import room
from quality.score import touches
from quality.sounds import Rng, at_active_level
from quality.stream import DecisionLog, Stream

_LEVEL = -24.0
_BED = 25.0
"""dB by which the room is below the speaker."""
_KNOWN, _CHANGED = 8, 10
"""Utterances before a change, and after it."""
_PRE_ROLL = 0.3
"""Seconds before a turn's onset that belong to it: `turns.pre_roll`."""
_BLOCK = 512

_Change = Callable[[Rng, Utterance], Utterance]


def whispered(rng: Rng, utterance: Utterance) -> Utterance:
    """The same without a voice: its spectrum over time with the phases of noise, as loud."""
    wave = np.pad(utterance.samples.astype(np.float64), (_BLOCK, _BLOCK))
    window = np.hanning(_BLOCK + 1)[:-1]
    noise = rng.standard_normal(len(wave))
    breath = np.zeros(len(wave))
    for begin in range(0, len(wave) - _BLOCK, _BLOCK // 2):
        stretch = slice(begin, begin + _BLOCK)
        heard = np.abs(np.fft.rfft(wave[stretch] * window))
        # A few bins together: harmonics would be a pitch still.
        smooth = np.sqrt(np.convolve(heard**2, np.ones(13) / 13, "same"))
        phases = np.exp(1j * np.angle(np.fft.rfft(noise[stretch])))
        breath[stretch] += np.fft.irfft(smooth * phases, _BLOCK) * window
    breath = breath[_BLOCK : _BLOCK + len(utterance.samples)]
    breath *= np.sqrt(np.sum(wave**2) / max(float(np.sum(breath**2)), 1.0))
    return replace(utterance, samples=np.rint(breath).clip(-32768, 32767).astype(np.int16))


def softly_begun(rng: Rng, utterance: Utterance) -> Utterance:
    """The same with its first 0.4 s 12 dB quieter, and a rise of 0.1 s."""
    at = (np.arange(len(utterance.samples)) - utterance.start) / RATE
    gain = 10 ** (np.interp(at, [0.4, 0.5], [-12.0, 0.0]) / 20)
    return replace(utterance, samples=np.rint(utterance.samples * gain).astype(np.int16))


def quieter(by: float) -> _Change:
    """The same, so many dB quieter."""

    def change(rng: Rng, utterance: Utterance) -> Utterance:
        return replace(utterance, samples=np.rint(utterance.samples * 10 ** (-by / 20)).astype(np.int16))

    return change


def through_another_device(rng: Rng, utterance: Utterance) -> Utterance:
    """The same 12 dB quieter and dull: a headset was taken off, a laptop's microphone hears on."""
    wave = utterance.samples.astype(np.float64)
    dull = np.convolve(wave, np.array([0.25, 0.5, 0.25]), "same")
    return replace(utterance, samples=np.rint(dull * 10 ** (-12 / 20)).astype(np.int16))


@dataclass(frozen=True, slots=True)
class _Row:
    """A change, and who speaks after it."""

    name: str
    change: _Change
    passed_on: bool = False


_ROWS = (
    _Row("nothing changes", quieter(0.0)),
    _Row("soft first words: 0.4 s 12 dB below", softly_begun),
    _Row("6 dB quieter", quieter(6.0)),
    _Row("12 dB quieter", quieter(12.0)),
    _Row("whispered, as loud", whispered),
    _Row("another device, 12 dB quieter and dull", through_another_device),
    _Row("handset passed on, as loud", quieter(0.0), passed_on=True),
    _Row("handset passed on, 12 dB quieter", quieter(12.0), passed_on=True),
)


@dataclass(slots=True)
class _Cell:
    """Counts over what was said after a change."""

    said: int = 0
    caught: int = 0
    beginnings_lost: int = 0
    confirmed: int = 0
    waits: list[float] = field(default_factory=list)

    def add(self, bench: Bench, stream: Stream) -> None:
        """Listen to a stream twice."""
        changed = stream.labels[_KNOWN:]
        turns = self._turns(bench, stream, bot_speaks=False)
        interruptions = self._turns(bench, stream, bot_speaks=True)
        heard = None
        for label in changed:
            mine = [span for span in turns if touches(span, label)]
            self.said += 1
            self.caught += bool(mine)
            self.beginnings_lost += bool(mine) and mine[0].begun - _PRE_ROLL > label.start
            self.confirmed += any(touches(span, label) for span in interruptions)
            if mine and heard is None:
                heard = max(mine[0].suspected, label.start) - changed[0].start
        self.waits.append(heard if heard is not None else float("inf"))

    def _turns(self, bench: Bench, stream: Stream, *, bot_speaks: bool) -> Sequence[Span]:
        spans = listen(bench.vad, stream.samples, bot_speaks=bot_speaks)
        return [span for span in spans if span.confirmed is not None]

    def row(self, name: str) -> tuple[str, ...]:
        """Cells of the table."""
        return (
            *(name, per_cent(self.caught, self.said), per_cent(self.beginnings_lost, self.caught)),
            per_cent(self.confirmed, self.said),
            " and ".join(f"{wait:.1f}" for wait in self.waits),
        )


def measure(bench: Bench) -> Part:
    """Measure every change; without the recordings, say what is to be installed."""
    absent = missing()
    if absent:
        return Part([Figure("speakers", "", f"not measured: apt-get install -y {' '.join(absent)}")])
    rows = []
    for row, streams in _streams(bench.seed, bench.quick):
        cell = _Cell()
        for stream in streams:
            cell.add(bench, stream)
        rows.append(cell.row(row.name))
    return Part([], [Table("Speakers who change", _COLUMNS, rows, _NOTE)])


_COLUMNS = (
    *("after the change", "turns caught", "of these, beginning lost", "interruptions confirmed"),
    "first heard after, s",
)
_NOTE = (
    f"Two people in a quiet room say {_KNOWN} prompts, then {_CHANGED} more, changed, 3 to 5 s apart, "
    "although nobody answers; one who has the handset passed on is the other of the two. A beginning is lost "
    f"where the audio of its turn begins after the first labelled sample: {_PRE_ROLL:g} s before the onset, "
    "and before what led to it softly. Interruptions: the same, while the bot speaks. First heard: from "
    "the first changed utterance on, of each of the two."
)


@lru_cache(maxsize=1)
def _streams(seed: int, quick: bool) -> Sequence[tuple[_Row, Sequence[Stream]]]:
    people = ((ITALIAN, FRENCH), (FRENCH, ITALIAN))
    return [
        (row, [_stream(row, near, other, seed) for near, other in people[: 1 if quick else 2]])
        for row in _ROWS[: 2 if quick else None]
    ]


def _stream(row: _Row, near: Package, other: Package, seed: int) -> Stream:
    rng = rng_for(seed, "speakers", row.name, near.name)
    tape = DecisionLog()
    tape.wait(2.0)
    said = prompts(near)
    for number in rng.permutation(len(said))[:_KNOWN]:
        tape.say(said[number], _LEVEL)
        tape.wait(rng.uniform(2.0, 4.0))
    said = prompts(other if row.passed_on else near)
    for number in rng.permutation(len(said))[:_CHANGED]:
        tape.say(row.change(rng, said[number]), _LEVEL)
        tape.wait(rng.uniform(3.0, 5.0))
    return tape.stream(at_active_level(room(rng, tape.seconds + 0.1), _LEVEL - _BED))
