"""Decisions against labels: what was caught, what was made up, what was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from quality.microphone import Span
from quality.stream import Label, Stream

LATE = 0.15
"""Seconds after the end of a sound in which a decision still counts as one about it."""


@dataclass(slots=True)
class Tally:
    """Counts over streams. Delays in seconds from the first labelled sample.

    Attributes:
        utterances: Spoken.
        caught: Of these, those that were taken for speech.
        already_on: Of the caught, those that found the ears already in speech: they have no onset.
        onsets: From the first labelled sample of an utterance to the suspicion.
        confirmed: Utterances that became a barge-in, or a turn.
        confirmations: From the first labelled sample to that.
        false_starts: Suspicions where nothing was.
        false_turns: Confirmations where nothing was.
        quiet: Seconds in which nothing was.
        bursts: Sounds that are no speech.
        bursts_suspected: Of these, those that were suspected.
        bursts_confirmed: Of these, those that were confirmed.
    """

    utterances: int = 0
    caught: int = 0
    already_on: int = 0
    onsets: list[float] = field(default_factory=list)
    confirmed: int = 0
    confirmations: list[float] = field(default_factory=list)
    false_starts: int = 0
    false_turns: int = 0
    quiet: float = 0.0
    bursts: int = 0
    bursts_suspected: int = 0
    bursts_confirmed: int = 0

    def add(self, stream: Stream, spans: Sequence[Span]) -> None:
        """Count what ears made of a stream."""
        for label in stream.labels:
            mine = [span for span in spans if touches(span, label)]
            if label.kind == "speech":
                self._utterance(label, mine)
            else:
                # A span that was confirmed before the burst is not the burst's doing.
                mine = [span for span in mine if (span.confirmed or span.until) > label.start]
                self.bursts += 1
                self.bursts_suspected += bool(mine)
                self.bursts_confirmed += any(span.confirmed is not None for span in mine)
        self.quiet += stream.seconds - sum(label.seconds + LATE for label in stream.labels)
        for span in spans:
            self.false_starts += not any(_within(span.suspected, label) for label in stream.labels)
            self.false_turns += span.confirmed is not None and not any(
                touches(span, label) and label.start <= span.confirmed for label in stream.labels
            )

    def _utterance(self, label: Label, spans: Sequence[Span]) -> None:
        self.utterances += 1
        if not spans:
            return
        self.caught += 1
        if spans[0].suspected <= label.start:
            self.already_on += 1
        else:
            self.onsets.append(spans[0].suspected - label.start)
        decided = [
            span.confirmed for span in spans if span.confirmed is not None and span.confirmed > label.start
        ]
        if decided:
            self.confirmed += 1
            self.confirmations.append(decided[0] - label.start)

    def merge(self, other: Tally) -> None:
        """Add the counts of another."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    @property
    def false_starts_a_minute(self) -> float:
        """Suspicions where nothing was, per minute of it."""
        return 60 * self.false_starts / self.quiet if self.quiet else 0.0

    @property
    def false_turns_a_minute(self) -> float:
        """Confirmations where nothing was, per minute of it."""
        return 60 * self.false_turns / self.quiet if self.quiet else 0.0


def touches(span: Span, label: Label) -> bool:
    """Return whether a span is about a sound: begun in it or shortly after, or before and not over."""
    return span.suspected <= label.end + LATE and span.until > label.start


def _within(moment: float, label: Label) -> bool:
    return label.start < moment <= label.end + LATE


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """Outcome of one turn that a user meant as one.

    Attributes:
        taken: It became a turn at all.
        cut: It was taken for over before it was.
        end_delay: From its last labelled sample to the decision that it is over, seconds; None when it was
            cut or not taken.
    """

    taken: bool
    cut: bool
    end_delay: float | None


def turn_outcome(label: Label, spans: Sequence[Span]) -> TurnOutcome:
    """Judge one turn. A part that was heard and thrown away as no word counts as cut, too."""
    mine = [span for span in spans if touches(span, label)]
    turns = [span for span in mine if span.confirmed is not None]
    if not turns:
        return TurnOutcome(False, False, None)
    cut = any(span.until <= label.end for span in mine)
    if cut or turns[-1].ended is None:
        return TurnOutcome(True, cut, None)
    return TurnOutcome(True, False, turns[-1].ended - label.end)
