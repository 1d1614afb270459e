"""The table: what is heard, how soon, and what is made up, at every distance from the noise."""

from __future__ import annotations

from collections.abc import Callable

from audio_fixtures.corpus import Utterance, phrases, sentences, words
from quality.bench import SPEECH_LEVELS, Bench
from quality.figures import Figure, Part, Table, median_p95, per_cent, share, within
from quality.microphone import listen
from quality.score import Tally
from quality.sounds import BURST_SECONDS, BURSTS, NOISES, Babble, Rng, Wave, at_level
from quality.stream import DecisionLog, Stream

Noise = Callable[[Rng, float], Wave]

_SNRS = (20, 10, 5, 0)
_BABBLE_SNRS = (20, 10, 5, 0)
_TARGET_SNR = 10
_ONSET = (0.100, 0.220)
"""Budget of the design: median and 95th percentile."""
_COLUMNS = (
    *("bed", "SNR, dB", "caught", "caught, bot speaks", "onset median/p95, ms"),
    *("false Suspected/min", "false turns/min", "quiet min", "bursts confirmed"),
)


class _Cell:
    """One row of the table: the same streams heard while the bot is silent, and while it speaks."""

    def __init__(self) -> None:
        self.silent = Tally()
        self.speaking = Tally()

    def add(self, bench: Bench, stream: Stream) -> None:
        self.silent.add(stream, listen(bench.vad, stream.samples, bot_speaks=False))
        self.speaking.add(stream, listen(bench.vad, stream.samples, bot_speaks=True))

    @property
    def onsets(self) -> list[float]:
        return self.silent.onsets

    def row(self, bed: str, snr: str) -> tuple[str, ...]:
        silent, speaking = self.silent, self.speaking
        return (
            *(bed, snr, per_cent(silent.caught, silent.utterances)),
            *(f"{share(speaking.caught, speaking.utterances):.1f} %", median_p95(self.onsets)),
            *(f"{speaking.false_starts_a_minute:.2f}", f"{silent.false_turns_a_minute:.2f}"),
            *(f"{silent.quiet / 60:.1f}", f"{speaking.bursts_confirmed} of {speaking.bursts}"),
        )


def measure(bench: Bench) -> Part:
    """Measure every bed at every SNR."""
    babble = Babble(bench.seed)
    silence = _cell(bench, "silence", None, 0)
    by_noise = {name: {snr: _cell(bench, name, make, snr) for snr in _SNRS} for name, make in NOISES.items()}
    in_babble = {snr: _cell(bench, "babble", babble, snr) for snr in _BABBLE_SNRS}
    rows = [silence.row("digital silence", "")]
    rows += [
        _pooled([cells[snr] for cells in by_noise.values()]).row("stationary noise", str(snr))
        for snr in _SNRS
    ]
    rows += [cell.row("babble", str(snr)) for snr, cell in in_babble.items()]
    detail = [cells[_TARGET_SNR].row(name, str(_TARGET_SNR)) for name, cells in by_noise.items()]
    return Part(
        _figures(silence, by_noise, in_babble),
        [
            Table("Speech in noise", _COLUMNS, rows, _NOTE),
            Table("Each stationary noise at 10 dB SNR", _COLUMNS, detail),
        ],
    )


_NOTE = (
    "Caught: taken for speech within the utterance or 150 ms after it. False: where there was neither speech "
    "nor a burst. Bursts: coughs, clicks, knocks, grunts, mhm of 80 to 300 ms within 6 dB of the level of "
    "the speech. False Suspected and bursts while the bot speaks, false turns while it is silent."
)


def _figures(
    silence: _Cell, by_noise: dict[str, dict[int, _Cell]], in_babble: dict[int, _Cell]
) -> list[Figure]:
    target = f"median {1000 * _ONSET[0]:.0f}, p95 {1000 * _ONSET[1]:.0f} ms"
    room = [onset for cells in by_noise.values() for onset in cells[20].onsets]
    figures = [
        Figure(
            f"onset after {where}",
            target,
            f"{median_p95(onsets)} ms (n {len(onsets)})",
            within(onsets, *_ONSET),
        )
        for where, onsets in (
            ("digital silence", silence.onsets),
            ("room noise, SNR 20 dB", room),
        )
    ]
    quiet = silence.speaking
    figures.append(
        Figure(
            "false Suspected in digital silence",
            "0 a minute",
            f"{quiet.false_starts} in {quiet.quiet / 60:.1f} min",
            quiet.false_starts == 0,
        )
    )
    for name, cells in by_noise.items():
        tally = cells[_TARGET_SNR].speaking
        figures.append(
            Figure(
                f"false Suspected in {name} noise, SNR 10 dB".replace("hum noise", "mains hum"),
                "under 1 a minute",
                f"{tally.false_starts_a_minute:.2f} ({tally.false_starts} in {tally.quiet / 60:.1f} min)",
                tally.false_starts_a_minute < 1,
            )
        )
    tally = in_babble[_TARGET_SNR].speaking
    figures.append(
        Figure(
            "false Suspected in babble, SNR 10 dB",
            "",
            f"{tally.false_starts_a_minute:.2f} ({tally.false_starts} in {tally.quiet / 60:.1f} min)",
        )
    )
    return figures


def _pooled(cells: list[_Cell]) -> _Cell:
    pooled = _Cell()
    for cell in cells:
        pooled.silent.merge(cell.silent)
        pooled.speaking.merge(cell.speaking)
    return pooled


def _cell(bench: Bench, bed: str, noise: Noise | None, snr: int) -> _Cell:
    """Streams of one bed at one SNR; where a target is set, with long quiet stretches."""
    cell = _Cell()
    sparse = snr == _TARGET_SNR or noise is None
    for number in range(bench.amount(4, 1)):
        rng = bench.rng("noise", bed, snr, number)
        level = rng.uniform(*SPEECH_LEVELS)
        tape = _tape(bench, rng, level, (3.0, 10.0) if sparse else (1.2, 2.5))
        wave = None if noise is None else at_level(noise(rng, tape.seconds + 0.1), level - snr)
        cell.add(bench, tape.stream(wave))
    return cell


def _tape(bench: Bench, rng: Rng, level: float, gaps: tuple[float, float]) -> DecisionLog:
    """Utterances of every length, and after every second of them a burst."""
    tape = DecisionLog()
    tape.wait(rng.uniform(2.0, 3.0))
    for number, utterance in enumerate(_mixed(bench, rng)):
        tape.say(utterance, level)
        tape.wait(rng.uniform(*gaps))
        if number % 2:
            kind = str(rng.choice(list(BURSTS)))
            wave = BURSTS[kind](rng, float(rng.choice(BURST_SECONDS)))
            tape.burst(kind, wave, level + rng.uniform(-6, 6))
            tape.wait(rng.uniform(*gaps))
    return tape


def _mixed(bench: Bench, rng: Rng) -> list[Utterance]:
    pool = [
        *sentences(bench.seed, bench.amount(48, 8)),
        *phrases(bench.seed, bench.amount(36, 6)),
        *words(bench.seed, bench.amount(36, 6)),
    ]
    return [pool[index] for index in rng.permutation(len(pool))[: bench.amount(16, 5)]]
