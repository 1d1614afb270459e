"""Interruption: whoever speaks over the bot for 0.6 s or longer gets the floor."""

from __future__ import annotations

from audio_fixtures.corpus import phrases, sentences, words
from quality.bench import SPEECH_LEVELS, Bench
from quality.figures import Figure, Part, Table, median_p95, per_cent, share
from quality.microphone import listen
from quality.score import Tally
from quality.sounds import NOISES, at_level
from quality.stream import DecisionLog, Stream

_SNRS = (20, 10, 5, 0)
_REAL = 0.6
_AUDIBLE = 10
_WANTED = 98.0
_LENGTHS = ((0.0, 0.4), (0.4, _REAL), (_REAL, 10.0))


def measure(bench: Bench) -> Part:
    """Speech of every length over a bot that speaks all the time."""
    rows = []
    real = Tally()
    for snr in _SNRS:
        tallies = _tallies(bench, snr)
        for (shortest, longest), tally in tallies.items():
            length = f"under {longest:g}" if not shortest else f"{shortest:g} to {longest:g}"
            rows.append(
                (
                    *(str(snr), length if longest < 10 else f"{shortest:g} up"),
                    per_cent(tally.caught, tally.utterances),
                    median_p95(tally.onsets),
                    f"{share(tally.confirmed, tally.utterances):.1f} %",
                    median_p95(tally.confirmations),
                )
            )
        if snr >= _AUDIBLE:
            real.merge(tallies[_LENGTHS[-1]])
    figure = Figure(
        "interruptions of 0.6 s and longer confirmed, SNR 10 dB and better",
        f"at least {_WANTED:.0f} %",
        f"{per_cent(real.confirmed, real.utterances)}; {median_p95(real.confirmations)} ms after the onset",
        share(real.confirmed, real.utterances) >= _WANTED,
    )
    columns = (
        "SNR, dB",
        "length, s",
        "suspected",
        "after median/p95, ms",
        "confirmed",
        "after median/p95, ms",
    )
    return Part([figure], [Table("Interruptions", columns, rows, _NOTE)])


_NOTE = "In white, pink, brown noise and hum. The bot is silent from the suspicion on."


def _tallies(bench: Bench, snr: int) -> dict[tuple[float, float], Tally]:
    tallies = {length: Tally() for length in _LENGTHS}
    said = [
        *sentences(bench.seed, bench.amount(30, 4)),
        *phrases(bench.seed, bench.amount(24, 4)),
        *words(bench.seed, bench.amount(24, 4)),
    ]
    for name, noise in NOISES.items():
        rng = bench.rng("interruption", snr, name)
        level = rng.uniform(*SPEECH_LEVELS)
        tape = DecisionLog()
        tape.wait(2.0)
        for index in rng.permutation(len(said)):
            tape.say(said[index], level)
            tape.wait(rng.uniform(1.2, 2.0))
        stream = tape.stream(at_level(noise(rng, tape.seconds + 0.1), level - snr))
        spans = listen(bench.vad, stream.samples, bot_speaks=True)
        for (shortest, longest), tally in tallies.items():
            some = tuple(label for label in stream.labels if shortest <= label.seconds < longest)
            tally.add(Stream(stream.samples, some), spans)
    return tallies
