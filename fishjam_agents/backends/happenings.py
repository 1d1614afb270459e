"""What a backend tells the pipeline: what the model says, wants and understood, and how it fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.errors import FailureKind


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply begins. `reply` is unique in the call."""

    reply: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """Sound of a reply: int16 mono, shape (n,), any length, at `Capabilities.output_rate`."""

    reply: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Words of a reply, in the order they are spoken.

    `at` is where in the reply they begin, in seconds of its audio, for backends that know word times.
    """

    reply: str
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """All audio of the reply has been given."""

    reply: str


@dataclass(frozen=True, slots=True)
class ReplyTimed:
    """How long each part of a backend took to the first sound of a reply, seconds, in their order."""

    reply: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class UserSpeech:
    """The model's own turn detection: the user started or stopped speaking."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """What the user said, as the model understood it."""

    text: str
    final: bool = False
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool called. `call` is unique in the call; one seen before is not run again."""

    call: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCallCancelled:
    """The model no longer wants the answer."""

    call: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The model decided that the user interrupts: its reply is over.

    `reply` is the one it speaks of; None means whatever is being said. A verdict on a reply that is already
    over ends nothing else.
    """

    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a turn cost.

    Attributes:
        amounts: Tokens or seconds, by the vendor's own names.
        cost: Price of it in the currency of the prices that were configured; None without any.
        total_cost: Price of the call so far.
    """

    amounts: Mapping[str, float]
    cost: float | None = None
    total_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a `QuestionEntry`; `error` says why there is none."""

    question: str
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """Something told by the vendor, in its own words, for the hook `on_vendor_event`."""

    kind: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Warning:
    """Something was lost or bent; the session goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The session failed."""

    failure: FailureKind
    message: str
    retryable: bool


BackendEvent = (
    ReplyStarted
    | ReplyAudio
    | ReplyText
    | ReplyEnded
    | ReplyTimed
    | UserSpeech
    | UserTranscript
    | ToolCall
    | ToolCallCancelled
    | Interrupted
    | Usage
    | Answer
    | VendorEvent
    | Warning
    | Failure
)
