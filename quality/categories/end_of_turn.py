"""End of turn: how soon whole sentences are answered, and who is cut off that stops to think, or dictates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audio_fixtures.recordings import FRENCH, ITALIAN, READER, WIDE, Package, missing
from bench.table import percentile
from fishjam_agents.turns.dictation import Dictation
from fishjam_agents.turns.endpointing import Adaptive, EndOfTurn, Punctuation
from fishjam_agents.turns.smart_turn import SmartTurn
from quality.bench import Bench
from quality.figures import Figure, Part, Table, share
from quality.turn_ends import turn_ends
from quality.turn_trials import QUIET_ROOM, Stop, Trials, dictations, hesitations, whole_sentences

PLACES = ("quiet", "telephone", "noise")
PACKAGES = (*WIDE, ITALIAN, FRENCH, READER)
_TELEPHONE = (ITALIAN, FRENCH)
_NOISE = 10.0
_GAPS = (0.3, 0.6, 1.0)
_OWN = 0.06
"""Seconds from a last labelled sample by which the turn machine may find its own later."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A row of the tables.

    Attributes:
        name: As `turns.end_of_turn` has it.
        policy: The policy.
        words: Whether words come in time.
    """

    name: str
    policy: EndOfTurn
    words: bool = False


_ADAPTIVE = Policy("adaptive", Adaptive())
_SMART = Policy("smart_turn", SmartTurn())
_SMART_WORDS = Policy("smart_turn, words", SmartTurn(), words=True)
_PATIENT = Policy("smart_turn patient", SmartTurn(preset="patient"))
_PATIENT_WORDS = Policy("smart_turn patient, words", SmartTurn(preset="patient"), words=True)
_DICTATION = Policy("dictation", Dictation())
_SMART_DICTATION = Policy("smart_turn dictation", SmartTurn(preset="dictation"))

QUIET = (
    _ADAPTIVE,
    Policy("punctuation, words", Punctuation(), words=True),
    _SMART,
    _SMART_WORDS,
    Policy("smart_turn quick", SmartTurn(preset="quick")),
    _PATIENT,
    _PATIENT_WORDS,
)
"""Policies that are heard in a quiet room."""
ELSEWHERE = (_ADAPTIVE, _SMART, _SMART_WORDS)
DICTATED = (_ADAPTIVE, _SMART, _DICTATION, _SMART_DICTATION)


@dataclass(slots=True)
class Outcome:
    """Turns as a policy ended them.

    Attributes:
        pauses: Pauses in them.
        cut: Pauses in which the turn was ended.
        delays: Seconds from the last labelled sample to the decision, of turns that were ended after it.
    """

    pauses: int = 0
    cut: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Of the delays; 0 of none."""
        return float(np.mean(self.delays)) if self.delays else 0.0

    @property
    def median(self) -> float:
        """Of the delays; 0 of none."""
        return percentile(self.delays, 50) if self.delays else 0.0

    @property
    def late(self) -> int:
        """Turns that were ended after more than a second of quiet."""
        return sum(delay > 1.0 + _OWN for delay in self.delays)

    @property
    def share(self) -> float:
        """Per cent of the pauses that were cut."""
        return share(self.cut, self.pauses)

    def shown_delays(self) -> tuple[str, ...]:
        """Median, mean, 95th percentile in milliseconds, and the share of those over a second."""
        if not self.delays:
            return ("-", "-", "-", "-")
        figures = (self.median, self.mean, percentile(self.delays, 95))
        return (
            *(f"{1000 * figure:.0f}" for figure in figures),
            f"{share(self.late, len(self.delays)):.0f} %",
        )

    def shown_cuts(self) -> str:
        """Share of the pauses."""
        return f"{self.share:.0f} % of {self.pauses}"

    def merged(self, other: Outcome) -> Outcome:
        """Both together."""
        return Outcome(self.pauses + other.pauses, self.cut + other.cut, [*self.delays, *other.delays])


def judge(policy: Policy, trials: Trials) -> Outcome:
    """Hear turns under a policy."""
    outcome = Outcome()
    for number, stream in enumerate(trials.streams):
        recogniser = trials.recogniser(number) if policy.words else None
        ends = turn_ends(policy.policy, stream, recogniser)
        until = [label.start for label in stream.labels[1:]] + [stream.seconds + 1.0]
        for label, pauses, over in zip(stream.labels, trials.pauses[number], until, strict=True):
            mine = [end.at for end in ends if label.start < end.at < over]
            outcome.pauses += len(pauses)
            outcome.cut += sum(any(begin < at <= end for at in mine) for begin, end in pauses)
            after = [at for at in mine if at > label.end]
            if after:
                outcome.delays.append(after[0] - label.end)
    return outcome


def measure(bench: Bench, places: Sequence[str] = PLACES) -> Part:
    """Measure every policy; without the recordings, say what is to be installed.

    Args:
        bench: Chooses voices and lengths.
        places: Where, of `PLACES`; figures are those of the first one, a quiet room.
    """
    absent = missing(PACKAGES)
    if absent:
        return Part([Figure("end of turn", "", f"not measured: apt-get install -y {' '.join(absent)}")])
    found: dict[tuple[str, str], Outcome] = {}
    rows = _rows(QUIET, _Place(bench), found)
    tables = [Table("In a quiet room", _COLUMNS, rows, _NOTE)]
    if "telephone" in places:
        telephone = _rows(ELSEWHERE, _Place(bench, _TELEPHONE), {})
        tables.append(Table("Over a telephone", _COLUMNS, telephone, "The same prompts at 8 kHz."))
    if "noise" in places:
        noisy = _rows(ELSEWHERE[:2], _Place(bench, WIDE, _NOISE), {})
        tables.append(Table("In pink noise 10 dB below the speaker", _COLUMNS, noisy))
    spoken = {gap: dictations(bench, gap) for gap in _GAPS}
    dictated = []
    for policy in DICTATED:
        gaps = {gap: judge(policy, trials) for gap, trials in spoken.items()}
        found[policy.name, "dictation"] = gaps[0.6]
        cut = (gaps[gap].shown_cuts() for gap in _GAPS)
        dictated.append((policy.name, *cut, *(f"{1000 * gaps[gap].median:.0f}" for gap in _GAPS)))
    return Part(_figures(found), [*tables, Table("Dictations", _DICTATED, dictated, _DICTATED_NOTE)])


@dataclass(frozen=True, slots=True)
class _Place:
    bench: Bench
    packages: tuple[Package, ...] = WIDE
    snr: float = QUIET_ROOM

    def stops(self, stop: Stop) -> Trials:
        return hesitations(self.bench, self.packages, stop, self.snr)


def _rows(
    policies: Sequence[Policy], place: _Place, found: dict[tuple[str, str], Outcome]
) -> list[tuple[str, ...]]:
    answered = whole_sentences(place.bench, place.packages, place.snr)
    dips, words = place.stops("dip"), place.stops("word")
    rows = []
    for policy in policies:
        outcome, at_dips, at_words = (judge(policy, trials) for trials in (answered, dips, words))
        found[policy.name, "sentence"] = outcome
        found[policy.name, "hesitation"] = at_dips.merged(at_words)
        shown = outcome.shown_delays()
        rows.append(
            (policy.name, str(len(outcome.delays)), *shown, at_dips.shown_cuts(), at_words.shown_cuts())
        )
    return rows


_COLUMNS = (
    *("policy", "sentences", "median, ms", "mean, ms", "p95, ms", "over 1 s"),
    *("stops at a dip cut", "stops at a word's end cut"),
)
_DICTATED = (
    *("policy", *(f"cut, gaps of {gap:g} s" for gap in _GAPS)),
    *(f"answered after, ms, {gap:g} s" for gap in _GAPS),
)
_NOTE = (
    "Median, mean, p95: from the last labelled sample of a whole sentence to the decision that the turn is "
    "over. Stops: the same sentences, stopped for an invented time (log-normal, median 0.7 s, sigma 0.55); "
    "cut: the turn was ended before they went on. Words come 0.1 s after a pause of 0.2 s; a recogniser "
    "makes a whole sentence of 58 % of what stops at a dip and of 41 % of what stops at a word's end, as "
    "Whisper tiny.en did with English prompts."
)
_DICTATED_NOTE = (
    "Five to nine digits or letters of computed voices. Answered after: median, from the last sample."
)


def _figures(found: Mapping[tuple[str, str], Outcome]) -> list[Figure]:
    today, usual = found["adaptive", "sentence"], found["adaptive", "hesitation"]
    figures = []
    targets = {_SMART: 38.0, _SMART_WORDS: 27.0, _PATIENT: 38.0, _PATIENT_WORDS: 27.0}
    for name, most in ((policy.name, most) for policy, most in targets.items()):
        outcome, stopped = found[name, "sentence"], found[name, "hesitation"]
        figures += [
            Figure(
                f"mean answer delay, {name}",
                "at most 490 ms",
                f"{1000 * outcome.mean:.0f} ms (n {len(outcome.delays)}; adaptive {1000 * today.mean:.0f})",
                outcome.mean <= 0.49,
            ),
            Figure(
                f"median answer delay, {name}",
                "at most 420 ms",
                f"{1000 * outcome.median:.0f} ms (adaptive {1000 * today.median:.0f})",
                outcome.median <= 0.42,
            ),
            Figure(
                f"hesitations cut, {name}",
                f"at most {most:.0f} %",
                f"{stopped.shown_cuts()} (adaptive {usual.share:.0f} %)",
                stopped.share <= most,
            ),
        ]
    read = found["smart_turn, words", "sentence"]
    late = f"{read.late} of {len(read.delays)}"
    figures.append(Figure("answers later than 1.0 s, smart_turn, words", "none", late, not read.late))
    for name in ("dictation", "smart_turn dictation"):
        outcome = found[name, "dictation"]
        other = found["adaptive", "dictation"].share
        figures.append(
            Figure(
                f"gaps of 0.6 s in a dictation cut, {name}",
                "at most 10 %",
                f"{outcome.shown_cuts()} (adaptive {other:.0f} %)",
                outcome.share <= 10.0,
            )
        )
    return figures
