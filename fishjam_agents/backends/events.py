"""Events of a backend: the words, requests and transcripts of the model, and the backend's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

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

    `at` is where in the reply they begin, in seconds of its audio, for backends that know the times of words
    or of sentences. Of several words that were not heard to their end, the share that was counts as heard.
    """

    reply: str
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """All audio of the reply has been given."""

    reply: str


@dataclass(frozen=True, slots=True)
class ReplyLatency:
    """Seconds each part of a backend took to the first sound of a reply, in the order of the parts.

    Their sum is how long it took from the end of the turn. `ahead`, which is below zero, is what was done
    before that (`PreemptiveReply`).
    """

    reply: str
    parts: Mapping[str, float]


Outcome: TypeAlias = Literal["adopted", "went_on", "words", "changed", "failed", "empty", "interrupted"]
"""Outcome of an answer that was begun before its turn was over: it was used; the speaker went on; the
turn ended with other words; the conversation had changed; a part failed; the words meant nothing; the app, or
the end of the call, put an end to it."""


@dataclass(frozen=True, slots=True)
class PreemptiveReply:
    """An answer was begun before its turn was over.

    Attributes:
        peer: Whose turn it was.
        outcome: What became of it.
        seconds: Of one that was used: how long before the end of the turn was known it was begun. Of others:
            how long it was worked on, for nothing.
    """

    peer: str | None
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class UserSpeech:
    """The model's own turn detection: the user started or stopped speaking."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """Words of the user, as the model understood them."""

    text: str
    final: bool = False
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool called.

    Attributes:
        call: Unique in the call; one seen before is not run again.
        name: The tool.
        arguments: By parameter.
        unreadable: What is wrong with the arguments, if they could not be read
            (`arguments.read_arguments`): the tool is not run, and the model is told.
        peer: Whose turn brought it about, where the backend knows.
    """

    call: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str | None = None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallCancelled:
    """The model no longer wants the answer, or can no longer be given it.

    What began is not undone by that: unless it is cancellable the tool is run to its end, the model is told
    what came of it (`TextInput.note`), and a call for the same gets its answer in place of another run.

    Attributes:
        call: Which one.
        lost: The session that called is gone: the one that follows knows neither call nor answer, and may be
            told the same words again. Also for calls that were answered since those words.
    """

    call: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The model decided that the user interrupts: its reply is over.

    `reply` is the one it speaks of; None means whatever is being said. A verdict on a reply that is already
    over ends nothing else.
    """

    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of a turn.

    Attributes:
        amounts: Tokens or seconds, by the vendor's own names.
        cost: Price of it in the currency of the prices that were configured; None without any.
        total_cost: Price of the call so far.
    """

    amounts: Mapping[str, float]
    cost: float | None = None
    total_cost: float | None = None


@dataclass(frozen=True, slots=True)
class OutOfBandResponse:
    """The answer to a `OutOfBandInput`; `error` says why there is none."""

    question: str
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """Something told by the vendor, in its own words, for the hook `on_vendor_event`."""

    kind: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BackendNotice:
    """Something was lost or bent; the session goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class Unanswered(BackendNotice):
    """Input that has no answer and gets none: something on the way failed, and may work next time.

    A backend without fallbacks goes on with this as a warning; `fallback` counts it as a failure.
    """

    failure: FailureKind = "network"


@dataclass(frozen=True, slots=True)
class Failure:
    """The session failed."""

    failure: FailureKind
    message: str
    retryable: bool
    backend: str | None = None
    fallback: str | None = None


BackendEvent = (
    ReplyStarted
    | ReplyAudio
    | ReplyText
    | ReplyEnded
    | ReplyLatency
    | PreemptiveReply
    | UserSpeech
    | UserTranscript
    | ToolCall
    | ToolCallCancelled
    | Interrupted
    | Usage
    | OutOfBandResponse
    | VendorEvent
    | BackendNotice
    | Failure
)
