"""Turn-taking: everything said to a silent bot becomes one turn, and is known to be over soon after it is."""

from __future__ import annotations

from audio_fixtures.corpus import phrases, sentences, words
from quality.bench import SPEECH_LEVELS, Bench
from quality.figures import Figure, Part, Table, median_p95, per_cent
from quality.microphone import listen
from quality.score import TurnOutcome, turn_outcome
from quality.sounds import NOISES, at_level
from quality.stream import DecisionLog, Label

_SNRS = (25, 10)
_LENGTHS = ((0.0, 0.4), (0.4, 0.6), (0.6, 10.0))
"""Seconds: a word such as "yes", a longer word, a phrase or sentence."""


def measure(bench: Bench) -> Part:
    """Let people speak after pauses of a second and more."""
    rows = []
    figures = []
    for snr in _SNRS:
        judged = _judge(bench, snr)
        for shortest, longest in _LENGTHS:
            some = [outcome for label, outcome in judged if shortest <= label.seconds < longest]
            rows.append((str(snr), _range(shortest, longest), *_cells(some)))
        taken = sum(outcome.taken for _, outcome in judged)
        figures.append(
            Figure(f"said to a silent bot and taken as a turn, {snr} dB", "", per_cent(taken, len(judged)))
        )
    columns = ("SNR, dB", "length, s", "taken as a turn", "cut", "end delay median/p95, ms")
    return Part(figures, [Table("Turns by length", columns, rows, _NOTE)])


_NOTE = (
    "Cut: the end was decided before the last labelled sample. End delay: from the last labelled sample to "
    "the decision that the turn is over."
)


def _range(shortest: float, longest: float) -> str:
    return (
        f"under {longest:g}"
        if not shortest
        else f"{shortest:g} to {longest:g}"
        if longest < 10
        else f"{shortest:g} up"
    )


def _cells(outcomes: list[TurnOutcome]) -> tuple[str, ...]:
    taken = [outcome for outcome in outcomes if outcome.taken]
    delays = [outcome.end_delay for outcome in taken if outcome.end_delay is not None]
    cut = sum(outcome.cut for outcome in taken)
    return per_cent(len(taken), len(outcomes)), per_cent(cut, len(taken)), median_p95(delays)


def _judge(bench: Bench, snr: int) -> list[tuple[Label, TurnOutcome]]:
    judged = []
    said = [
        *sentences(bench.seed, bench.amount(48, 8)),
        *phrases(bench.seed, bench.amount(36, 6)),
        *words(bench.seed, bench.amount(36, 6)),
    ]
    for name, noise in NOISES.items():
        rng = bench.rng("turn-taking", snr, name)
        level = rng.uniform(*SPEECH_LEVELS)
        tape = DecisionLog()
        tape.wait(2.0)
        for index in rng.permutation(len(said))[: bench.amount(72, 8)]:
            tape.say(said[index], level)
            tape.wait(rng.uniform(1.2, 2.5))
        stream = tape.stream(at_level(noise(rng, tape.seconds + 0.1), level - snr))
        spans = listen(bench.vad, stream.samples, bot_speaks=False)
        judged += [(label, turn_outcome(label, spans)) for label in stream.labels]
    return judged
