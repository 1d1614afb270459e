"""Places: recorded people who speak in front of music, a television, other people, a keyboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from audio_fixtures.corpus import Utterance, rng_for
from audio_fixtures.recordings import FRENCH, ITALIAN, missing, prompts
from bench.table import percentile
from quality.bench import Bench
from quality.figures import Figure, Part, Table, median_p95, per_cent, share
from quality.microphone import Span, listen
from quality.places import Bed, Others, crying, later, music_on_hold, room, typing
from quality.score import Tally, touches
from quality.sounds import Babble, Rng, at_active_level, white
from quality.stream import DecisionLog, Label, Stream

_LEVELS = (-32.0, -20.0)
"""dBFS between which people speak here; the beds lie up to 25 dB below."""
_REAL = 0.6
"""Seconds of an utterance that must interrupt."""
_COLUMNS = (
    *("behind the speaker", "dB below", "turns caught", "cut", "end of turn median/p95, ms"),
    *("interruptions confirmed", "after median/p95, ms", "false pauses/min", "false interruptions/min"),
    "of the pauses, before the first word",
)


@dataclass(slots=True)
class _Cell:
    """One row: the same streams heard while the bot is silent, and while it speaks."""

    silent: Tally = field(default_factory=Tally)
    speaking: Tally = field(default_factory=Tally)
    long: Tally = field(default_factory=Tally)
    cut: int = 0
    early: int = 0
    ends: list[float] = field(default_factory=list)

    def add(self, bench: Bench, stream: Stream) -> None:
        """Listen to a stream twice."""
        spans = listen(bench.vad, stream.samples, bot_speaks=False)
        self.silent.add(stream, spans)
        for label in stream.labels:
            self._end_of(label, spans, stream.seconds)
        spans = listen(bench.vad, stream.samples, bot_speaks=True)
        self.speaking.add(stream, spans)
        long = tuple(label for label in stream.labels if label.seconds >= _REAL)
        self.long.add(Stream(stream.samples, long), spans)
        self.early += sum(span.suspected <= stream.labels[0].start for span in spans)

    def _end_of(self, label: Label, spans: Sequence[Span], seconds: float) -> None:
        turns = [span for span in spans if span.confirmed is not None and touches(span, label)]
        if not turns:
            return
        until = min(turns[-1].until, seconds)
        if until <= label.end:
            self.cut += 1
        else:
            self.ends.append(until - label.end)

    @property
    def turns(self) -> int:
        """Utterances that are in a turn."""
        return self.cut + len(self.ends)

    def row(self, bed: str, below: int) -> tuple[str, ...]:
        """Cells of the table."""
        speaking, long = self.speaking, self.long
        return (
            *(bed, str(below), per_cent(self.turns, self.silent.utterances)),
            *(per_cent(self.cut, self.turns), median_p95(self.ends)),
            *(per_cent(long.confirmed, long.utterances), median_p95(long.confirmations)),
            *(f"{speaking.false_starts_a_minute:.2f}", f"{speaking.false_turns_a_minute:.2f}"),
            f"{self.early} of {speaking.false_starts}",
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """Bounds of the figures of one place."""

    end_p95: float
    pauses: float
    interruptions: float | None = None
    confirmed: float | None = None


_TARGETS: Mapping[tuple[str, int], _Target] = {
    ("music", 10): _Target(1.5, 1.0, 0.3, 98.0),
    ("babble", 10): _Target(1.0, 0.5),
    ("television", 10): _Target(1.0, 0.5),
    ("second voice", 10): _Target(1.0, 0.5),
}


def measure(bench: Bench) -> Part:
    """Measure every place; without the recordings, say what is to be installed."""
    absent = missing()
    if absent:
        what = f"not measured: apt-get install -y {' '.join(absent)}"
        return Part([Figure("recorded places", "", what)])
    cells: dict[tuple[str, int], _Cell] = {}
    for place, stream in _streams(bench.seed, bench.quick):
        cells.setdefault(place, _Cell()).add(bench, stream)
    rows = [cell.row(*place) for place, cell in cells.items()]
    figures = [figure for place, target in _TARGETS.items() for figure in _judge(place, cells[place], target)]
    return Part(figures, [Table("People in front of what is heard behind them", _COLUMNS, rows, _NOTE)])


_NOTE = (
    "Telephone prompts of two people, each before and behind the other. Caught: part of a turn; cut: the "
    "turn was over before its last labelled sample; end of turn: from that sample to the end of the turn, "
    "however many utterances were in it. Interruptions are utterances of 0.6 s and longer, heard while the "
    "bot speaks; false pauses and interruptions are those where nobody near spoke. Babble is eight "
    "recordings at once, the second voice says sentences 0.3 to 2.5 s apart, the television is a voice "
    "without an end and music 6 dB below it; later: from the middle of the call on, in a quiet room before. "
    "Levels are those of sounds while they are on."
)


@lru_cache(maxsize=1)
def _streams(seed: int, quick: bool) -> Sequence[tuple[tuple[str, int], Stream]]:
    """Every place with each of the two people, the same for every detector."""
    made = []
    for near, other in ((ITALIAN, FRENCH), (FRENCH, ITALIAN)):
        for (name, below), bed in _beds(Others(prompts(other)), seed).items():
            rng = rng_for(seed, "places", name, below, near.name)
            made.append(((name, below), _stream(prompts(near), 4 if quick else 45, bed, below, rng)))
    return made


def _beds(others: Others, seed: int) -> dict[tuple[str, int], Bed]:
    computed = Babble(seed)
    return {
        ("quiet room", 25): room,
        ("white noise", 10): white,
        ("music", 15): music_on_hold,
        ("music", 10): music_on_hold,
        ("babble", 15): others.babble,
        ("babble", 10): others.babble,
        ("computed babble", 10): computed,
        ("television", 10): others.television,
        ("second voice", 10): others.colleague,
        ("keyboard", 15): typing,
        ("cries and laughs", 10): crying,
        ("television, later", 10): later(others.television),
        ("second voice, later", 10): later(others.colleague),
    }


def _stream(said: Sequence[Utterance], count: int, bed: Bed, below: int, rng: Rng) -> Stream:
    level = rng.uniform(*_LEVELS)
    tape = DecisionLog()
    tape.wait(3.0)
    for number in rng.permutation(len(said))[:count]:
        tape.say(said[number], level)
        tape.wait(rng.uniform(2.0, 4.0))
    return tape.stream(at_active_level(bed(rng, tape.seconds + 0.1), level - below))


def _judge(place: tuple[str, int], cell: _Cell, target: _Target) -> list[Figure]:
    where = f"{place[0]} {place[1]} dB below"
    p95 = percentile(cell.ends, 95) if cell.ends else float("inf")
    later, minutes = cell.speaking.false_starts - cell.early, cell.speaking.quiet / 60
    pauses, false = later / minutes, cell.speaking.false_turns_a_minute
    confirmed = share(cell.long.confirmed, cell.long.utterances)
    figures = [
        Figure(
            f"end of turn, {where}",
            f"p95 under {1000 * target.end_p95:.0f} ms",
            f"{median_p95(cell.ends)} ms (n {len(cell.ends)})",
            p95 < target.end_p95,
        ),
        Figure(
            f"false pauses once the speaker was heard, {where}",
            f"under {target.pauses:g} a minute",
            f"{pauses:.2f} ({later} in {minutes:.1f} min; {cell.early} before the first word)",
            pauses < target.pauses,
        ),
    ]
    if target.interruptions is not None:
        figures.append(
            Figure(
                f"false interruptions, {where}",
                f"under {target.interruptions:g} a minute",
                f"{false:.2f}",
                false < target.interruptions,
            )
        )
    if target.confirmed is not None:
        figures.append(
            Figure(
                f"interruptions of {_REAL:g} s and longer confirmed, {where}",
                f"at least {target.confirmed:.0f} %",
                f"{per_cent(cell.long.confirmed, cell.long.utterances)}",
                confirmed >= target.confirmed,
            )
        )
    return figures
