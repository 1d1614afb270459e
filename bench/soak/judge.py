"""Verdict on a soak from the notes of its processes; pure.

What may be lost, and nothing else: an utterance while its bot was not in the room, or while the way to it
was faulty, or while the server dropped what the bot did not take; and the answer to one that such a fault
followed. The same goes for moments in which a process got no CPU, of which an idle machine has none: the
report counts them. No frame may arrive twice.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MARGIN = 0.5
"""Seconds around an utterance in which a fault concerns it: pre-roll, and sound on its way."""
ANSWER = 8.0
"""Seconds within which an utterance is answered."""
REPEATED = 25
"""Frames of an answer that may be said again when it goes on after an outage."""
EDGE = 3
"""Frames that may be missing at each edge of an utterance, which is quiet."""


@dataclass
class Verdict:
    """Counts of utterances, and what went wrong.

    Attributes:
        said: Utterances.
        arrived: Those that came to a backend whole.
        excused: Those that did not, for a reason that may be.
        lost: Those that did not, for none.
        doubled: Those of which something came to a backend twice.
        answered: Those whose answer was heard.
        unanswered: Those that arrived and were not answered, for no reason that may be.
        late: Seconds in which a process was late, which the machine is to blame for.
        answered_twice: Those whose answer was heard twice.
        details: What went wrong, in words.
    """

    said: int = 0
    arrived: int = 0
    excused: int = 0
    lost: int = 0
    doubled: int = 0
    answered: int = 0
    unanswered: int = 0
    late: float = 0.0
    answered_twice: int = 0
    details: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if nothing went wrong."""
        return not self.details

    def as_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def judge(notes: Iterable[Mapping[str, Any]]) -> Verdict:
    """Judge what was said, what arrived and what was heard.

    Args:
        notes: All notes, in any order.
    """
    ordered = sorted(notes, key=lambda note: note["t"])
    arrived: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    heard: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for note in ordered:
        if note["kind"] == "arrived":
            arrived[note["call"], note["utterance"]].append(note["frames"])
        elif note["kind"] == "heard":
            heard[note["call"], note["utterance"]].update(note["frames"])
    away = _absences(ordered)
    verdict = Verdict()
    fault = "no fault yet"

    def wrong(what: str) -> None:
        verdict.details.append(f"{note['t']:.2f}: {key} {what} (the last fault: {fault})")

    for note in ordered:
        if note["kind"] == "late":
            verdict.late += note["seconds"]
        if note["kind"] == "made":
            fault = f"{note['t']:.2f}: {note['name']}"
        if note["kind"] != "said":
            continue
        key = note["call"], note["utterance"]
        begin, end = note["t"] - MARGIN, note["t"] + note["seconds"] + MARGIN
        verdict.said += 1
        found = Counter(frame for frames in arrived[key] for frame in frames)
        wanted = set(range(note["first"] + EDGE, note["last"] - EDGE))
        missing = wanted - found.keys()
        excused = _touches(away[note["call"]], begin, end)
        if missing and not excused:
            verdict.lost += 1
            wrong(f"lacks {len(missing)} of {len(wanted)} frames: {sorted(missing)}")
        elif missing:
            verdict.excused += 1
        else:
            verdict.arrived += 1
        if any(times > 1 for times in found.values()):
            verdict.doubled += 1
            wrong(f"arrived {sum(times > 1 for times in found.values())} frames twice")
        answer = heard[key]
        if answer:
            verdict.answered += 1
        elif not missing and not _touches(away[note["call"]], begin, end + ANSWER):
            verdict.unanswered += 1
            wrong("was not answered")
        if sum(times - 1 for times in answer.values()) > REPEATED:
            verdict.answered_twice += 1
            wrong("was answered twice")
    return verdict


def _absences(ordered: Sequence[Mapping[str, Any]]) -> Mapping[int, list[tuple[float, float]]]:
    """Times in which each call was without its bot, or the way to the bot, or a vendor, was faulty."""
    away: dict[int, list[tuple[float, float]]] = defaultdict(list)
    since: dict[int, float] = {}
    calls = {note["call"] for note in ordered if "call" in note}
    for note in ordered:
        if note["kind"] == "bots":
            if note["number"]:
                away[note["call"]].append((since.pop(note["call"], -math.inf), note["t"]))
            else:
                since.setdefault(note["call"], note["t"])
        elif note["kind"] in ("fault", "late"):
            for call in calls if note.get("call") is None else [note["call"]]:
                away[call].append((note["t"], note["t"] + note["seconds"]))
    for call, begun in since.items():
        away[call].append((begun, math.inf))
    return away


def _touches(spans: Iterable[tuple[float, float]], begin: float, end: float) -> bool:
    return any(first <= end and begin <= last for first, last in spans)


@dataclass(frozen=True, slots=True)
class Slope:
    """A line through samples.

    Attributes:
        per_minute: Growth in a minute.
        error: Half the width of its 95 % confidence interval, samples taken as independent.
        minutes: Length of what was measured.
    """

    per_minute: float
    error: float
    minutes: float


def slope(samples: Sequence[tuple[float, float]]) -> Slope:
    """The line of least squares through samples of time, in seconds, and value."""
    times = [time / 60 for time, _ in samples]
    values = [value for _, value in samples]
    rise, start = statistics.linear_regression(times, values)
    mean = statistics.fmean(times)
    spread = sum((time - mean) ** 2 for time in times)
    rest = sum((value - start - rise * time) ** 2 for time, value in zip(times, values, strict=True))
    return Slope(rise, 1.96 * math.sqrt(rest / max(len(samples) - 2, 1) / spread), times[-1] - times[0])
