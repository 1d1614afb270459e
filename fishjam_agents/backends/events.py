"""Events of a backend: the words, requests and transcripts of the model, and the backend's state.

Those that a call's watchers see as they are belong to the event stream (`fishjam_agents.events`), and have no
time yet; what stands here is used up by the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fishjam_agents.audio.samples import Samples
from fishjam_agents.events import (
    BackendFailure,
    BackendUsage,
    BackendWarning,
    PreemptiveReply,
    ReplyLatency,
    ReplyStarted,
    UserTranscript,
    VendorAvailable,
    VendorUnavailable,
)


# Fifty of these are made per second and call; a frozen dataclass takes three times as long to make.
@dataclass(slots=True)
class ReplyAudio:
    """Sound of a reply: int16 mono, shape (n,), any length, at `Capabilities.output_rate`."""

    reply: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class ReplyTextDelta:
    """Words of a reply, in the order they are spoken.

    `at` is where in the reply they begin, in seconds of its audio, for backends that know the times of words
    or of sentences. Of several words that were not heard to their end, the share that was counts as heard.

    `broke_off` says that the words given last will not be spoken to their end, `text` is "" then: of them as
    much counts as heard as there can have been time for.
    """

    reply: str
    text: str
    at: float | None = None
    broke_off: bool = False


@dataclass(frozen=True, slots=True)
class ReplyAudioEnded:
    """All audio of the reply has been given."""

    reply: str


@dataclass(frozen=True, slots=True)
class UserSpeech:
    """The model's own turn detection: the user started or stopped speaking."""

    speaking: bool


@dataclass(frozen=True, slots=True)
class PauseTranscript:
    """Words of an open turn up to a pause (`TurnPausedInput`), for the policy that ends turns.

    Nobody else is told of them: the turn may go on, and its `UserTranscript` follows when it is over.

    Attributes:
        text: All words of the turn so far.
        at: Where the pause began, as `TurnPausedInput.at`; of a pause that is over they come to nothing.
        peer: Who speaks.
    """

    text: str
    at: float
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
class OutOfBandResponse:
    """The answer to an `OutOfBandInput`; `error` says why there is none."""

    question: str
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """Something told by the vendor, in its own words, for the hook `on_vendor_event`."""

    kind: str
    message: Mapping[str, Any]


BackendEvent = (
    ReplyStarted
    | ReplyAudio
    | ReplyTextDelta
    | ReplyAudioEnded
    | ReplyLatency
    | PreemptiveReply
    | UserSpeech
    | UserTranscript
    | PauseTranscript
    | ToolCall
    | ToolCallCancelled
    | Interrupted
    | BackendUsage
    | OutOfBandResponse
    | VendorEvent
    | BackendWarning
    | BackendFailure
    | VendorUnavailable
    | VendorAvailable
)
