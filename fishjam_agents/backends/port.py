"""The port every model backend is written against.

A backend is immutable settings plus `connect()`. A session takes ordered entries (what the user said and
did) and emits events (what the model says and wants). The pipeline writes entries without ever waiting;
`backends.link` owns the outbox, the sender task, the reader task and reconnecting, so that a backend is
only a translation between these types and one vendor's client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fishjam_agents.backends.capabilities import Capabilities as Capabilities
from fishjam_agents.errors import FailureKind
from fishjam_agents.events import Heard, Turn

Samples: TypeAlias = npt.NDArray[np.int16]
Scheduling: TypeAlias = Literal["interrupt", "when_idle", "silent"]
"""What the model does with the result of a tool that did not block it: say it at once, say it when it has
finished what it says, or only know it."""


# --- entries: pipeline to backend -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AudioEntry:
    """Sound of a peer: int16 mono, shape (n,), at `Capabilities.input_rate`.

    `peer` is who was last heard to speak; None in a mix in which nobody was clearly loudest.
    """

    peer: str | None
    samples: Samples
    seconds: float


@dataclass(frozen=True, slots=True)
class AudioEndedEntry:
    """No more sound comes of a peer whose audio was sent all the time: it left, or the bot's ears are closed.

    Sent where the backend owns turns (`Conversation.owner`); audio that follows begins anew.
    """

    peer: str | None


@dataclass(frozen=True, slots=True)
class TurnStartedEntry:
    """A turn begins; the audio that follows belongs to it."""

    peer: str | None
    start: float


@dataclass(frozen=True, slots=True)
class TurnEndedEntry:
    """A turn is complete. `audio` is all of it for backends with `wants_turn_audio`, else None."""

    turn: Turn
    audio: Samples | None = None


@dataclass(frozen=True, slots=True)
class TurnCancelledEntry:
    """The turn is taken back (push to talk): forget its audio, answer nothing.

    A backend that ignores it hears that audio as the beginning of the next turn.
    """

    peer: str | None


@dataclass(frozen=True, slots=True)
class TextEntry:
    """Something in writing: what the user wrote and is to be answered, unless one of the two below.

    Attributes:
        text: The words.
        verbatim: They are to be spoken as they are.
        reply: The id that the reply to verbatim words has to have, so that whoever said them can follow it.
        note: They are to be known and not answered: who speaks, what happened.
    """

    text: str
    verbatim: bool = False
    reply: str | None = None
    note: bool = False


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """A still of a peer's video track."""

    data: bytes
    content_type: str
    peer: str | None = None
    track: str | None = None


@dataclass(frozen=True, slots=True)
class InterruptEntry:
    """Stop replying. `heard` is what the room heard of the reply, None when none had begun."""

    heard: Heard | None


@dataclass(frozen=True, slots=True)
class ToolResultEntry:
    """The answer to a `ToolCall`: one for each call that is not cancelled, after any number of reports.

    Attributes:
        call: Id of the call.
        result: The answer in words or as JSON text.
        name: The tool.
        error: Whether `result` says what went wrong.
        will_continue: It only reports progress, the answer is still to come. Only for tools that do not block
            and backends with `background_tools`; so is `scheduling`.
        scheduling: What the model does with it; None leaves that to the model.
    """

    call: str
    result: str
    name: str = ""
    error: bool = False
    will_continue: bool = False
    scheduling: Scheduling | None = None


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """A tool as the model is told of it.

    Attributes:
        name: Up to 64 letters, digits, `_` and `-`; no two in a call are the same.
        description: What it does and when to call it.
        parameters: JSON schema of an object, its references resolved.
        blocking: Whether the model waits for the answer before it goes on.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class UpdateEntry:
    """New instructions or tools; None leaves them as they are."""

    instructions: str | None = None
    tools: Sequence[ToolDeclaration] | None = None


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """A message of the vendor's own, passed on as it is."""

    message: Mapping[str, Any]


Entry = (
    AudioEntry
    | AudioEndedEntry
    | TurnStartedEntry
    | TurnEndedEntry
    | TurnCancelledEntry
    | TextEntry
    | ImageEntry
    | InterruptEntry
    | ToolResultEntry
    | UpdateEntry
    | ControlEntry
)


# --- events: backend to pipeline --------------------------------------------------------------------


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
    | VendorEvent
    | Warning
    | Failure
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a backend is told when it connects.

    Attributes:
        id: Id of the call, for logs.
        emit: Takes an event; synchronous, never raises, may be called until the session is left.
        instructions: The system prompt, if the pipeline has one.
        tools: The tools on offer.
        attempt: 0 for the first connection of the call, counted up at every reconnect.
        owner: Who rules over turns (`turns.owner`): with `backend` audio flows all the time and no turns are
            announced.
        memory: The same object for every connection of the call: what a backend has to remember over
            reconnects, under names of its own.
    """

    id: str
    emit: Callable[[BackendEvent], None]
    instructions: str | None = None
    tools: Sequence[ToolDeclaration] = ()
    attempt: int = 0
    owner: Literal["local", "backend"] = "local"
    memory: MutableMapping[str, Any] = field(default_factory=dict)


class Renewal(Exception):  # noqa: N818 - not an error: the plan
    """Raised by `BackendSession.read`: this connection ends as planned, the next is opened at once.

    No entry may be half sent by then. Nothing is reported as lost, unless renewals follow one another within
    seconds.
    """


class Farewell(Exception):  # noqa: N818 - not an error: the end
    """Raised by a session: the model has ended the conversation, for the reason that is its text.

    Nothing is connected anew: the call ends when what was said has been heard.
    """


class BackendSession(ABC):
    """One live connection to a model."""

    @abstractmethod
    async def send(self, entry: Entry) -> None:
        """Pass one entry on. Called by one task, in order; the link gives it a deadline.

        Raises:
            BackendError: The session is lost; the entry is sent again on the next one if retryable.
        """

    @abstractmethod
    async def read(self) -> None:
        """Read the vendor's events and emit ours until the session ends. Awaits no user code.

        Raises:
            BackendError: The session failed.
            Farewell: The conversation is over.
            Renewal: The session is to be followed by a new one at once.
        """


class InlineSession(ABC):
    """A session inside this process that takes entries synchronously: no outbox, no tasks, no wake-ups."""

    @abstractmethod
    def handle(self, entry: Entry) -> None:
        """Take one entry. Must not block."""


class Registered:
    """What a configuration finds by the name in its `type` (`backends.registry`).

    Attributes:
        entry_points: The group of entry points in which implementations have their names.
        what: What one is called in messages.
    """

    entry_points: ClassVar[str]
    what: ClassVar[str]


class Backend(Registered, ABC):
    """Immutable settings of a model, and the way to connect to it.

    Subclasses are frozen dataclasses: their fields are what `backend:` in config.yaml may hold.

    Attributes:
        capabilities: What it can do.
        audio_kept: Seconds of the user's audio that are kept while it is away; the oldest goes first.
        in_process: Whether all it needs is this process and the loop's clock, so that calls with it may run
            in virtual time: no sockets, threads or clocks of its own.
    """

    entry_points = "fishjam_agents.backends"
    what = "backend"
    capabilities: ClassVar[Capabilities] = Capabilities()
    audio_kept: ClassVar[float] = 10.0
    in_process: ClassVar[bool] = False

    def check(self) -> None:
        """Verify what can be known without connecting: files, keys, combinations of settings.

        Raises:
            FishjamAgentsError: Something is wrong, in one sentence that says what to do.
        """

    @abstractmethod
    def connect(
        self, conversation: Conversation
    ) -> AbstractAsyncContextManager[BackendSession | InlineSession]:
        """Open a session. Entering it has a deadline of the link's (15 s).

        Raises:
            BackendError: It cannot be opened.
        """
