"""Turns to end: whole sentences, sentences with a stop inside, and dictations, as microphones hear them.

Sentences are recorded prompts and a book that is read aloud (`audio_fixtures.recordings`), dictations are
spoken by espeak-ng.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from audio_fixtures.corpus import LEVEL, RATE, VARIANTS, Utterance, speak
from audio_fixtures.recordings import Package, prompts, reader_sentences, texts
from fishjam_agents.audio.samples import Samples
from fishjam_agents.turns.endpointing import is_sentence
from quality.bench import Bench
from quality.places import Bed
from quality.sounds import Rng, at_active_level, at_level, pink
from quality.stream import DecisionLog, Label, Stream
from quality.turn_ends import Recogniser


@dataclass(frozen=True, slots=True)
class Behind:
    """Sound behind the speaker.

    Attributes:
        below: dB that it lies below the speaker.
        bed: What it is; None for pink noise.
    """

    below: float
    bed: Bed | None = None


QUIET_ROOM = Behind(40.0)
Stop = Literal["dip", "word"]
"""Where somebody stops: in the deepest dip of the energy, or near the end of a word."""

_LEVELS = (-32.0, -20.0)
_LEAST_WORDS = 3
_HESITATION = NormalDist(np.log(0.7), 0.55)
"""Logarithm of the invented lengths of hesitations, seconds: 64 % are longer than 0.58 s."""
_FULL_STOP = {"dip": 0.58, "word": 0.41}
"""Share of sentences that stop there of which a recogniser makes whole ones: Whisper tiny.en did so with
English prompts, and made a whole one of each that was."""
_AFTER = 2.4
"""Seconds of quiet after a turn: more than any policy waits."""
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVXYZ")
_INSIDE = (0.3, 0.8)
"""Part of a sentence in which it stops."""
_NEAR = 0.08
"""Seconds around the estimated end of a word in which its energy is least where it stops."""
_WINDOW = 0.03
_FADE = 0.01
_Wave = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trials:
    """Streams of turns, with what a recogniser would make of them.

    Attributes:
        streams: One for each voice; each label is a turn.
        pauses: Where each turn of each stream pauses, seconds.
        whole: Text of each turn at its end.
        begun: Text of each turn at its pause, "" without one.
    """

    streams: Sequence[Stream]
    pauses: Sequence[Sequence[Sequence[tuple[float, float]]]]
    whole: Sequence[Sequence[str]]
    begun: Sequence[Sequence[str]]

    def recogniser(self, number: int) -> Recogniser:
        """Make a recogniser of one stream."""
        labels, whole, begun = self.streams[number].labels, self.whole[number], self.begun[number]

        def words(at: float) -> str:
            for index, label in enumerate(labels):
                if label.start <= at <= label.end + 0.3:
                    inside = label.pause is not None and at < label.pause[1]
                    return begun[index] if inside else whole[index]
            return ""

        return words


Said = tuple[Utterance, str]
"""A sentence and its text."""


@lru_cache(maxsize=2)
def sentences(packages: tuple[Package, ...]) -> tuple[tuple[Said, ...], ...]:
    """Whole sentences of each person: what reads like one, of three words and more."""
    people = []
    for package in packages:
        said = texts(package)
        whole = [(prompt, said.get(prompt.text, "")) for prompt in prompts(package)]
        people.append(tuple(each for each in whole if _is_whole(each[1])))
    people.append(tuple((sentence, "A sentence of a book.") for sentence in reader_sentences()))
    return tuple(people)


def _is_whole(text: str) -> bool:
    begun = text[:1].isupper() and len(text.split()) >= _LEAST_WORDS
    return begun and is_sentence(text) and not text.endswith(("..", "…"))


def whole_sentences(bench: Bench, packages: tuple[Package, ...], behind: Behind = QUIET_ROOM) -> Trials:
    """Whole sentences, each a turn."""
    streams, spoken = [], []
    for number, said in enumerate(sentences(packages)):
        rng = bench.rng("end-of-turn", "whole", number)
        level, tape = _begin(rng)
        some = _some(bench, rng, said)
        for sentence, _ in some:
            tape.say(sentence, level)
            tape.wait(_AFTER)
        streams.append(_in_a_room(tape, rng, level, behind))
        spoken.append([text for _, text in some])
    return Trials(streams, [[()] * len(said) for said in spoken], spoken, [[""] * len(s) for s in spoken])


def hesitations(
    bench: Bench, packages: tuple[Package, ...], stop: Stop, behind: Behind = QUIET_ROOM
) -> Trials:
    """The same sentences with a stop inside, as long as a log-normal law says, no luck in it."""
    people = [
        (rng, _some(bench, rng, said))
        for number, said in enumerate(sentences(packages))
        for rng in [bench.rng("end-of-turn", stop, number)]
    ]
    count = sum(len(said) for _, said in people)
    lengths = [float(np.exp(_HESITATION.inv_cdf((index + 0.5) / count))) for index in range(count)]
    shuffled = iter(bench.rng("end-of-turn", stop, "lengths").permutation(lengths))
    streams, spoken, begun = [], [], []
    for rng, said in people:
        level, tape = _begin(rng)
        begun.append([])
        for sentence, text in said:
            before, after, where = split(sentence, text, stop, rng)
            tape.say_with_pause(before, float(next(shuffled)), after, level)
            tape.wait(_AFTER)
            begun[-1].append(_beginning(text, where, stop, rng))
        streams.append(_in_a_room(tape, rng, level, behind))
        spoken.append([text for _, text in said])
    pauses = [[[label.pause] if label.pause else [] for label in stream.labels] for stream in streams]
    return Trials(streams, pauses, spoken, begun)


def dictations(bench: Bench, gap: float) -> Trials:
    """Five to nine digits or letters with gaps between them, each dictation a turn."""
    rng = bench.rng("end-of-turn", "dictations")
    level, tape = _begin(rng)
    gaps, labels = [], []
    for number in range(bench.amount(40, 3)):
        voice = f"en-us+{rng.choice(VARIANTS)}", int(rng.integers(20, 80)), int(rng.integers(130, 190))
        of = _LETTERS if number % 3 == 2 else _DIGITS
        inner: list[tuple[float, float]] = []
        start = tape.seconds
        for index in range(int(rng.integers(5, 10))):
            if index:
                begin = tape.seconds
                tape.wait(gap)
                inner.append((begin, tape.seconds))
            tape.say(_said(str(rng.choice(of)), *voice), level)
        labels.append(Label("speech", start, tape.seconds))
        gaps.append(inner)
        tape.wait(_AFTER)
    stream = Stream(_in_a_room(tape, rng, level, QUIET_ROOM).samples, tuple(labels))
    empty = [[""] * len(labels)]
    return Trials([stream], [gaps], empty, empty)


@lru_cache(maxsize=2048)
def _said(text: str, voice: str, pitch: int, speed: int) -> Utterance:
    return speak(text, voice, pitch, speed)


def _begin(rng: Rng) -> tuple[float, DecisionLog]:
    tape = DecisionLog()
    tape.wait(3.0)
    return rng.uniform(*_LEVELS), tape


def _some(bench: Bench, rng: Rng, said: Sequence[Said]) -> list[Said]:
    return [said[index] for index in rng.permutation(len(said))[: bench.amount(len(said), 3)]]


def _in_a_room(tape: DecisionLog, rng: Rng, level: float, behind: Behind) -> Stream:
    seconds = tape.seconds + 0.1
    if behind.bed is None:
        return tape.stream(at_level(pink(rng, seconds), level - behind.below))
    return tape.stream(at_active_level(behind.bed(rng, seconds), level - behind.below))


# --- a sentence that stops ---


def split(sentence: Utterance, text: str, stop: Stop, rng: Rng) -> tuple[Utterance, Utterance, float]:
    """Stop a sentence inside.

    Args:
        sentence: It.
        text: What it says.
        stop: Where: near the end of a word, which is estimated by its share of the letters, or in the deepest
            dip of its energy between 30 and 80 % of its time.
        rng: Chooses the word.

    Returns:
        Its two parts, and where in it they meet, 0 to 1.
    """
    samples = sentence.samples.astype(np.float64)
    length = sentence.end - sentence.start
    power = np.convolve(np.square(samples), np.ones(round(_WINDOW * RATE)), "same")
    first, last = (sentence.start + round(part * length) for part in _INSIDE)
    if stop == "word":
        letters = np.cumsum([len(word) + 1 for word in text.split()]) / (len(text) + 1)
        inside = [share for share in letters[:-1] if _INSIDE[0] <= share <= _INSIDE[1]] or [0.5]
        middle = sentence.start + round(float(rng.choice(inside)) * length)
        first, last = middle - round(_NEAR * RATE), middle + round(_NEAR * RATE)
    at = first + int(np.argmin(power[first:last]))
    fade = np.linspace(0.0, 1.0, round(_FADE * RATE))
    before, after = samples[:at].copy(), samples[at:].copy()
    before[-len(fade) :] *= fade[::-1]
    after[: len(fade)] *= fade
    heard, rest = _audible(before), _audible(after)
    return (
        _part(sentence, before, sentence.start, int(heard[-1]) + 1 if heard.size else at),
        _part(sentence, after, int(rest[0]) if rest.size else 0, sentence.end - at),
        (at - sentence.start) / length,
    )


def _part(whole: Utterance, samples: _Wave, start: int, end: int) -> Utterance:
    made: Samples = np.rint(samples).astype(np.int16)
    return Utterance(whole.text, whole.voice, whole.pitch, whole.speed, whole.band, made, start, end)


def _audible(samples: _Wave) -> npt.NDArray[np.intp]:
    """Samples within 28 dB of the usual level, by the mean over 5 ms."""
    power = np.convolve(np.square(samples / 32768), np.full(RATE // 200, 200 / RATE), "same")
    return np.flatnonzero(power > 10 ** ((LEVEL - 28.0) / 10))


def _beginning(text: str, share: float, stop: Stop, rng: Rng) -> str:
    """The beginning of a sentence, as a recogniser writes it."""
    words = text.split()
    begun = " ".join(words[: max(1, round(share * len(words)))]).rstrip(" .,;:?!")
    return begun + ("." if rng.random() < _FULL_STOP[stop] else "")
