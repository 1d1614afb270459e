"""Pause handling: whoever stops for 400 ms to think is not interrupted by an answer."""

from __future__ import annotations

from audio_fixtures.corpus import pairs, softened
from quality.bench import SPEECH_LEVELS, Bench
from quality.figures import Figure, Part, Table, median_p95, per_cent, share
from quality.microphone import listen
from quality.score import TurnOutcome, turn_outcome
from quality.sounds import NOISES, at_level
from quality.stream import DecisionLog

_PAUSE = 0.4
_TARGETS = {25: 10.0, 10: 15.0}
"""SNR in dB and the per cent of turns with a pause that may be cut."""
_OTHER_PAUSES = (0.3, 0.5)


def measure(bench: Bench) -> Part:
    """Turns of two parts with a pause between them."""
    figures = []
    rows = []
    for snr, most in _TARGETS.items():
        outcomes = _outcomes(bench, snr, _PAUSE)
        taken = [outcome for outcome in outcomes if outcome.taken]
        cut = sum(outcome.cut for outcome in taken)
        figures.append(
            Figure(
                f"turns with a 400 ms pause cut, SNR {snr} dB",
                f"at most {most:.0f} %",
                f"{_cut(outcomes)}; end delay {_delays(outcomes)} ms",
                bool(taken) and share(cut, len(taken)) <= most,
            )
        )
        soft = _outcomes(bench, snr, _PAUSE, soft=True)
        figures.append(
            Figure(
                f"the same with softened edges, SNR {snr} dB",
                "",
                f"{_cut(soft)}; end delay {_delays(soft)} ms",
            )
        )
        for pause in sorted((_PAUSE, *_OTHER_PAUSES)):
            some = outcomes if pause == _PAUSE else _outcomes(bench, snr, pause)
            rows.append((str(snr), f"{1000 * pause:.0f}", "as spoken", *_cells(some)))
        rows.append((str(snr), f"{1000 * _PAUSE:.0f}", "soft", *_cells(soft)))
    columns = ("SNR, dB", "pause, ms", "edges", "taken as a turn", "cut", "end delay median/p95, ms")
    return Part(figures, [Table("Turns with a pause inside", columns, rows, _NOTE)])


_NOTE = (
    "The pause is between labels. Cut: the end was decided in the pause or in the part after it, or a part "
    "was heard and thrown away as no word. End delay: from the last labelled sample, of the turns not cut. "
    "Soft: each part rises for 80 ms and dies away for 200 ms, and is labelled anew."
)


def _cells(outcomes: list[TurnOutcome]) -> tuple[str, ...]:
    taken = sum(outcome.taken for outcome in outcomes)
    return per_cent(taken, len(outcomes)), _cut(outcomes), _delays(outcomes)


def _cut(outcomes: list[TurnOutcome]) -> str:
    taken = [outcome for outcome in outcomes if outcome.taken]
    return per_cent(sum(outcome.cut for outcome in taken), len(taken))


def _delays(outcomes: list[TurnOutcome]) -> str:
    return median_p95([outcome.end_delay for outcome in outcomes if outcome.end_delay is not None])


def _outcomes(bench: Bench, snr: int, pause: float, *, soft: bool = False) -> list[TurnOutcome]:
    outcomes = []
    for name, noise in NOISES.items():
        # One draw of voices and noise for every pause and SNR: they differ in nothing else.
        rng = bench.rng("pause", name)
        level = rng.uniform(*SPEECH_LEVELS)
        tape = DecisionLog()
        tape.wait(2.0)
        for before, after in pairs(bench.seed, bench.amount(36, 4)):
            if soft:
                before, after = softened(before), softened(after)
            tape.say_with_pause(before, pause, after, level)
            tape.wait(rng.uniform(1.5, 2.5))
        stream = tape.stream(at_level(noise(rng, tape.seconds + 0.1), level - snr))
        spans = listen(bench.vad, stream.samples, bot_speaks=False)
        outcomes += [turn_outcome(label, spans) for label in stream.labels]
    return outcomes
