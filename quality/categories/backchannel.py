"""Backchannel: what a listener does while the bot speaks - mhm, a cough, a knock - does not end the reply."""

from __future__ import annotations

from collections.abc import Sequence

from audio_fixtures.corpus import hums
from quality.bench import Bench
from quality.conversation import Trial, disturb
from quality.figures import Figure, Part, Table, median_p95, per_cent
from quality.microphone import listen
from quality.score import Tally
from quality.sounds import BURST_SECONDS, BURSTS, Rng, Wave, at_level, pink, to_samples
from quality.stream import DecisionLog

_BEDS = {"silence": None, "room noise at -60 dBFS": -60.0, "room noise at -45 dBFS": -45.0}
_LEVELS = (-15.0, -25.0, -35.0)
"""RMS of a burst over its length, dBFS."""
_RESUMED = 0.5


def measure(bench: Bench) -> Part:
    """Bursts at a microphone whose bot speaks, then in whole conversations."""
    bursts, turns, rows = _bursts(bench)
    short, long = _hums(bench)
    trials = _conversations(bench)
    resumed = [trial.resumed for trial in trials if trial.paused and trial.resumed is not None]
    worst = max(resumed, default=0.0)
    ended = sum(trial.interrupted for trial in trials)
    figures = [
        Figure(
            "bursts of up to 300 ms that end a reply",
            "none",
            f"{bursts.bursts_confirmed} of {bursts.bursts} ({bursts.bursts_suspected} suspected)",
            bursts.bursts > 0 and not bursts.bursts_confirmed,
        ),
        Figure(
            "the same in conversations",
            "none",
            f"{ended} of {len(trials)} ({sum(trial.paused for trial in trials)} silenced the bot)",
            bool(trials) and not ended,
        ),
        Figure(
            "reply goes on after the end of a burst that silenced it",
            "within 500 ms",
            f"median/p95 {median_p95(resumed)}, worst {1000 * worst:.0f} ms (n {len(resumed)})",
            bool(resumed) and worst <= _RESUMED,
        ),
        Figure(
            "bursts of up to 300 ms that a silent bot takes for a turn",
            "",
            per_cent(turns.bursts_confirmed, turns.bursts),
        ),
        Figure("skipped at a resume", "nothing", *_contiguity(trials)),
        Figure(
            "spoken mhm, mm, uh-huh of up to 300 ms that end a reply",
            "none",
            per_cent(short.confirmed, short.utterances),
            short.utterances > 0 and not short.confirmed,
        ),
        Figure(
            "spoken mhm, mm, uh-huh of over 300 ms that end a reply",
            "",
            per_cent(long.confirmed, long.utterances),
        ),
    ]
    columns = ("burst", *(f"{1000 * seconds:.0f} ms" for seconds in BURST_SECONDS))
    return Part(figures, [Table("Bursts suspected (confirmed), per cent", columns, rows, _NOTE)])


_NOTE = (
    "On digital silence and on pink noise at -60 and -45 dBFS, at -15, -25 and -35 dBFS RMS. Spoken hums are "
    "espeak-ng's, of any length; from 360 ms on only their words would tell them from an interruption."
)


def _contiguity(trials: Sequence[Trial]) -> tuple[str, bool | None]:
    broken = sum(trial.skipped for trial in trials)
    return f"{broken} samples over {len(trials)} bursts", broken == 0 if trials else None


def _bed(rng: Rng, level: float | None, seconds: float) -> Wave | None:
    return None if level is None else at_level(pink(rng, seconds), level)


def _bursts(bench: Bench) -> tuple[Tally, Tally, list[tuple[str, ...]]]:
    total, turns = Tally(), Tally()
    rows = []
    for kind, make in BURSTS.items():
        cells = [kind]
        for seconds in BURST_SECONDS:
            tally = Tally()
            for bed, noise in _BEDS.items():
                rng = bench.rng("burst", kind, seconds, bed)
                tape = DecisionLog()
                tape.wait(2.0)
                for number in range(bench.amount(12, 3)):
                    tape.burst(kind, make(rng, seconds), _LEVELS[number % len(_LEVELS)])
                    tape.wait(rng.uniform(1.0, 1.5))
                stream = tape.stream(_bed(rng, noise, tape.seconds + 0.1))
                tally.add(stream, listen(bench.vad, stream.samples, bot_speaks=True))
                turns.add(stream, listen(bench.vad, stream.samples, bot_speaks=False))
            total.merge(tally)
            suspected, confirmed = (
                100 * count / tally.bursts for count in (tally.bursts_suspected, tally.bursts_confirmed)
            )
            cells.append(f"{suspected:.0f} ({confirmed:.0f})")
        rows.append(tuple(cells))
    return total, turns, rows


def _hums(bench: Bench) -> tuple[Tally, Tally]:
    """Spoken ones, told apart by their labelled length."""
    tallies = []
    spoken = hums(bench.seed, bench.amount(48, 8))
    for some in ([u for u in spoken if u.seconds <= 0.3], [u for u in spoken if u.seconds > 0.3]):
        tally = Tally()
        for bed, noise in _BEDS.items():
            rng = bench.rng("hum", bed)
            tape = DecisionLog()
            tape.wait(2.0)
            for utterance in some:
                tape.say(utterance, rng.uniform(-35, -20))
                tape.wait(rng.uniform(1.2, 1.6))
            stream = tape.stream(_bed(rng, noise, tape.seconds + 0.1))
            tally.add(stream, listen(bench.vad, stream.samples, bot_speaks=True))
        tallies.append(tally)
    return tallies[0], tallies[1]


def _conversations(bench: Bench) -> list[Trial]:
    trials: list[Trial] = []
    for number in range(bench.amount(6, 1)):
        rng = bench.rng("disturbed", number)
        disturbances = []
        for kind, make in BURSTS.items():
            for seconds in BURST_SECONDS[bench.amount(0, 3) :]:
                wave = at_level(make(rng, seconds), float(rng.choice(_LEVELS)))
                disturbances.append((kind, to_samples(wave)))
        order = rng.permutation(len(disturbances))
        trials += disturb(bench, rng, [disturbances[index] for index in order])
    return trials
