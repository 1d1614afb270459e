"""Events of one microphone, from the turn machine. Times are media time, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Sound that is taken for speech; `at` is its onset."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech pauses; `at` is its last sound."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn is certain; `at` is its onset."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn from `start` to `end` is complete.

    Attributes:
        start: Its onset.
        end: Its last sound.
        reason: As `events.Turn.reason` lists it.
        rule: The rule of the policy that ended it (`EndOfTurn.rule`), None where it has only one.
        probability: What the policy was told by its model (`Pause.probability`).
    """

    start: float
    end: float
    reason: str = "silence"
    rule: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Suspected:
    """Somebody may be speaking over the bot since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Somebody speaks over the bot since `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The suspicion of a barge-in is over; `at` is the last sound."""

    at: float


TurnEvent = SpeechStarted | SpeechEnded | TurnStarted | TurnEnded | Suspected | Confirmed | Withdrawn

CANCELLED = "cancelled"
"""The reason of a turn that is nobody's to answer: who spoke took it back."""
