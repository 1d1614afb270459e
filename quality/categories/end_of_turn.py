"""End of turn: how soon whole sentences are answered, and who is cut off that stops to think, or dictates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio_fixtures.recordings import FRENCH, ITALIAN, KEYS, READER, WIDE, Package, missing, prompts
from bench.table import percentile
from fishjam_agents.turns.dictation import Dictation
from fishjam_agents.turns.endpointing import Adaptive, EndOfTurn, Punctuation
from fishjam_agents.turns.smart_turn import SmartTurn
from quality.bench import Bench
from quality.figures import Figure, Part, Table, share
from quality.other_frameworks import ends_by_others
from quality.places import Others, typing
from quality.turn_ends import turn_ends
from quality.turn_trials import QUIET_ROOM, Behind, Stop, Trials, dictations, hesitations, whole_sentences

PLACES = ("quiet", "telephone", "noise", "babble", "keyboard")
PACKAGES = (*WIDE, ITALIAN, FRENCH, READER, KEYS)
_PEOPLE = ("Italian prompts", "French prompts", "English book")
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


def judge(policy: Policy, trials: Trials, vad: str = "default", person: int | None = None) -> Outcome:
    """Hear turns under a policy.

    Args:
        policy: Ends them.
        trials: The turns.
        vad: Voice detection, of `microphone.VADS`.
        person: Whose turns; None for everybody's.
    """
    outcome = Outcome()
    for number, stream in enumerate(trials.streams):
        if person not in (None, number):
            continue
        recogniser = trials.recogniser(number) if policy.words else None
        ends = [end.at for end in turn_ends(policy.policy, stream, recogniser, vad)]
        outcome = outcome.merged(_counted(trials, number, ends))
    return outcome


def _counted(trials: Trials, number: int, ends: Sequence[float]) -> Outcome:
    """Outcome of one stream, by the times at which its turns were ended."""
    outcome, stream = Outcome(), trials.streams[number]
    until = [label.start for label in stream.labels[1:]] + [stream.seconds + 1.0]
    for label, pauses, over in zip(stream.labels, trials.pauses[number], until, strict=True):
        mine = [at for at in ends if label.start < at < over]
        outcome.pauses += len(pauses)
        outcome.cut += sum(any(begin < at <= end for at in mine) for begin, end in pauses)
        after = [at for at in mine if at > label.end]
        if after:
            outcome.delays.append(after[0] - label.end)
    return outcome


def judge_others(python: Path | None, trials: Sequence[Trials]) -> dict[str, list[Outcome]]:
    """Hear turns with other frameworks (`quality.other_frameworks`).

    Args:
        python: The interpreter of an environment that has them; None for none of them.
        trials: The turns.

    Returns:
        By framework an outcome of each of `trials`.
    """
    if python is None:
        return {}
    streams = [(each, number) for each in trials for number in range(len(each.streams))]
    heard = ends_by_others(python, [each.streams[number].samples for each, number in streams])
    found: dict[str, list[Outcome]] = {}
    for name, ends in heard.items():
        outcomes = {id(each): Outcome() for each in trials}
        for (each, number), mine in zip(streams, ends, strict=True):
            outcomes[id(each)] = outcomes[id(each)].merged(_counted(each, number, mine))
        found[name] = list(outcomes.values())
    return found


def measure(bench: Bench, places: Sequence[str] = PLACES, others: Path | None = None) -> Part:
    """Measure every policy; without the recordings, say what is to be installed.

    Args:
        bench: Chooses voices and lengths.
        places: Where, of `PLACES`; figures are those of the first one, a quiet room.
        others: The interpreter of an environment with other frameworks, which are measured, too.
    """
    absent = missing(PACKAGES)
    if absent:
        return Part([Figure("end of turn", "", f"not measured: apt-get install -y {' '.join(absent)}")])
    found: dict[tuple[str, str], Outcome] = {}
    quiet = _Place(bench)
    rows = _rows(QUIET, quiet, found, others)
    tables = [
        Table("In a quiet room", _COLUMNS, rows, _NOTE),
        Table("In a quiet room, by who speaks", _BY_PERSON, _by_person(quiet), _PERSON_NOTE),
    ]
    for name, title, note, place in _elsewhere(bench):
        if name in places:
            tables.append(Table(title, _COLUMNS, _rows(ELSEWHERE, place, {}), note))
    spoken = [dictations(bench, gap) for gap in _GAPS]
    dictated = []
    for policy in DICTATED:
        gaps = [judge(policy, trials) for trials in spoken]
        found[policy.name, "dictation"] = gaps[1]
        dictated.append(_dictated(policy.name, gaps))
    dictated += [_dictated(name, gaps) for name, gaps in judge_others(others, spoken).items()]
    return Part(_figures(found), [*tables, Table("Dictations", _DICTATED, dictated, _DICTATED_NOTE)])


def _dictated(name: str, gaps: Sequence[Outcome]) -> tuple[str, ...]:
    return (name, *(gap.shown_cuts() for gap in gaps), *(f"{1000 * gap.median:.0f}" for gap in gaps))


@dataclass(frozen=True, slots=True)
class _Place:
    bench: Bench
    packages: tuple[Package, ...] = WIDE
    behind: Behind = QUIET_ROOM
    vad: str = "default"

    def whole(self) -> Trials:
        return whole_sentences(self.bench, self.packages, self.behind)

    def stops(self, stop: Stop) -> Trials:
        return hesitations(self.bench, self.packages, stop, self.behind)


def _elsewhere(bench: Bench) -> list[tuple[str, str, str, _Place]]:
    """Places but a quiet room: name, title of the table, its note."""
    people = Others([*prompts(ITALIAN), *prompts(FRENCH)])
    babble, keyboard = Behind(10.0, people.babble), Behind(15.0, typing)
    heard = "default+silero+near"
    with_opinion = "Heard with `second_opinion: silero` and `near_voice: true`."
    return [
        ("telephone", "Over a telephone", "The same prompts at 8 kHz.", _Place(bench, (ITALIAN, FRENCH))),
        ("noise", "In pink noise 10 dB below the speaker", "", _Place(bench, WIDE, Behind(10.0))),
        ("babble", "In babble 10 dB below the speaker", with_opinion, _Place(bench, WIDE, babble, heard)),
        ("keyboard", "Typing 15 dB below the speaker", with_opinion, _Place(bench, WIDE, keyboard, heard)),
    ]


def _by_person(place: _Place) -> list[tuple[str, ...]]:
    answered, dips, words = place.whole(), place.stops("dip"), place.stops("word")
    rows = []
    for person, name in enumerate(_PEOPLE):
        for policy in (_ADAPTIVE, _SMART, _SMART_WORDS):
            outcome = judge(policy, answered, person=person)
            stopped = judge(policy, dips, person=person).merged(judge(policy, words, person=person))
            shown = outcome.shown_delays()
            rows.append((name, policy.name, str(len(outcome.delays)), *shown[:2], stopped.shown_cuts()))
    return rows


def _rows(
    policies: Sequence[Policy],
    place: _Place,
    found: dict[tuple[str, str], Outcome],
    others: Path | None = None,
) -> list[tuple[str, ...]]:
    answered = place.whole()
    dips, words = place.stops("dip"), place.stops("word")
    rows = []
    for policy in policies:
        heard = (judge(policy, trials, place.vad) for trials in (answered, dips, words))
        outcome, at_dips, at_words = heard
        found[policy.name, "sentence"] = outcome
        found[policy.name, "hesitation"] = at_dips.merged(at_words)
        rows.append(_row(policy.name, outcome, at_dips, at_words))
    heard_by_others = judge_others(others, (answered, dips, words))
    return [*rows, *(_row(name, *outcomes) for name, outcomes in heard_by_others.items())]


def _row(name: str, outcome: Outcome, at_dips: Outcome, at_words: Outcome) -> tuple[str, ...]:
    shown = outcome.shown_delays()
    return (name, str(len(outcome.delays)), *shown, at_dips.shown_cuts(), at_words.shown_cuts())


_COLUMNS = (
    *("policy", "sentences", "median, ms", "mean, ms", "p95, ms", "over 1 s"),
    *("stops at a dip cut", "stops at a word's end cut"),
)
_BY_PERSON = ("who", "policy", "sentences", "median, ms", "mean, ms", "stops cut")
_PERSON_NOTE = (
    "One voice a language, so that a difference may be the speaker's. The network takes more of the Italian "
    "one's stops for complete, and fewer of the French one's sentences: no fixed threshold serves both alike."
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
    targets = {_SMART: 38.0, _SMART_WORDS: 27.0}
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
