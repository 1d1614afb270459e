"""The port every model backend is written against.

A backend is immutable settings plus `connect()`. A session takes ordered inputs (`backends.inputs`: what
the user said and did) and emits events (`backends.events`: what the model says and wants). The pipeline
writes inputs without ever waiting; `backends.link` owns the outbox, the sender task, the reader task and
reconnecting, so that a backend is only a translation between these types and one vendor's client. All their
names are here, too.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.capabilities import Capabilities
from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.backends.events import (
    BackendEvent,
    Interrupted,
    OutOfBandResponse,
    PauseTranscript,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyTextDelta,
    ToolCall,
    ToolCallCancelled,
    UserSpeech,
    VendorEvent,
)
from fishjam_agents.backends.inputs import (
    AudioEndedInput,
    AudioInput,
    BackendInput,
    ControlInput,
    ImageInput,
    InterruptInput,
    OutOfBandInput,
    Scheduling,
    SpeechSuspectedInput,
    TextInput,
    ToolDeclaration,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)
from fishjam_agents.backends.vendors import (
    CallVendors,
    LimitReachedError,
    VendorEndpoint,
    VendorLimits,
    Vendors,
    VendorUse,
)
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.events import (
    BackendFailure,
    BackendUsage,
    BackendWarning,
    PreemptiveOutcome,
    PreemptiveReply,
    ReplyLatency,
    ReplyStarted,
    Turn,
    Unanswered,
    UserTranscript,
    VendorAvailable,
    VendorUnavailable,
)

__all__ = [
    "AudioEndedInput",
    "AudioInput",
    "Backend",
    "BackendContext",
    "BackendEvent",
    "BackendFailure",
    "BackendInput",
    "BackendSession",
    "BackendUsage",
    "BackendWarning",
    "Capabilities",
    "ControlInput",
    "ConversationEnded",
    "Failover",
    "ImageInput",
    "InlineSession",
    "InterruptInput",
    "Interrupted",
    "OutOfBandInput",
    "OutOfBandResponse",
    "PauseTranscript",
    "PreemptiveOutcome",
    "PreemptiveReply",
    "Registered",
    "ReplyAudio",
    "ReplyAudioEnded",
    "ReplyLatency",
    "ReplyStarted",
    "ReplyTextDelta",
    "Samples",
    "Scheduling",
    "SessionRefresh",
    "SpeechSuspectedInput",
    "TextInput",
    "ToolCall",
    "ToolCallCancelled",
    "ToolDeclaration",
    "ToolResultInput",
    "TurnCancelledInput",
    "TurnEndedInput",
    "TurnPausedInput",
    "TurnResumedInput",
    "TurnStartedInput",
    "Unanswered",
    "UpdateInput",
    "UserSpeech",
    "UserTranscript",
    "VendorAvailable",
    "VendorEndpoint",
    "VendorEvent",
    "VendorLimits",
    "VendorUnavailable",
]

logger = logging.getLogger(__name__)


def ignore_handle(handle: str) -> None:
    """Take a handle by which nobody will resume anything."""


@dataclass(frozen=True, slots=True)
class BackendContext:
    """Parameters of a backend's connection.

    Attributes:
        id: Id of the call, for logs.
        emit: Takes an event; synchronous, never raises, may be called until the session is left.
        instructions: The system prompt, if the pipeline has one.
        tools: The tools on offer.
        attempt: 0 for the first connection of the call, counted up at every reconnect.
        turn_mode: Who rules over turns (`turns.mode`): with `backend` audio flows all the time and no turns
            are announced.
        memory: The same object for every connection of the call: what a backend has to remember over
            reconnects, under names of its own.
        conversation: What was said and done in the call before this process served it; None in a call that
            began here. With the capability `conversation` the backend tells its model, else the instructions
            hold it in words.
        keep_handle: Takes the handle by which the vendor's session can be resumed from here, also by another
            process; a later one takes its place.
        enrich: Returns what the model is to know with a turn, None for nothing; bounded. None where nobody
            adds anything.
        vendors: Use that the session makes of accounts at vendors; the same object for every connection.
    """

    id: str
    emit: Callable[[BackendEvent], None]
    instructions: str | None = None
    tools: Sequence[ToolDeclaration] = ()
    attempt: int = 0
    turn_mode: Literal["local", "backend"] = "local"
    memory: MutableMapping[str, Any] = field(default_factory=dict)
    conversation: PastConversation | None = None
    keep_handle: Callable[[str], None] = ignore_handle
    vendors: VendorUse = field(default_factory=VendorUse)
    enrich: Callable[[Turn], Awaitable[str | None]] | None = None


class SessionRefresh(Exception):  # noqa: N818 - not an error: the plan
    """Raised by `BackendSession.read`: this connection ends as planned, the next is opened at once.

    No input may be half sent by then. Nothing is reported as lost, unless renewals follow one another within
    seconds.
    """


class ConversationEnded(Exception):  # noqa: N818 - not an error: the end
    """Raised by a session: the model has ended the conversation, for the reason that is its text.

    Nothing is connected anew: the call ends when what was said has been heard.
    """


class Failover(BackendError):  # noqa: N818 - a failure that something follows
    """In place of a failure after which another service is connected to: its attempts are counted anew.

    Whoever raises it sees to it that there is an end of others.
    """


class BackendSession(ABC):
    """One live connection to a model."""

    @abstractmethod
    async def send(self, item: BackendInput) -> None:
        """Pass one input on. Called by one task, in order; the link gives it a deadline.

        Raises:
            BackendError: The session is lost; the input is sent again on the next one if retryable.
        """

    @abstractmethod
    async def read(self) -> None:
        """Read the vendor's events and emit ours until the session ends. Awaits no user code.

        Raises:
            BackendError: The session failed.
            ConversationEnded: The conversation is over.
            SessionRefresh: The session is to be followed by a new one at once.
        """


class InlineSession(ABC):
    """A session inside this process that takes inputs synchronously: no outbox, no tasks, no wake-ups."""

    @abstractmethod
    def handle(self, item: BackendInput) -> None:
        """Take one entry. Must not block."""


class Registered:
    """Base of classes that a configuration finds by the name in its `type` (`backends.registry`).

    Attributes:
        entry_points: The group of entry points in which implementations have their names.
        what: What one is called in messages.
        loads: Names of the modules that connecting imports, where that takes its time.
        limits: Limits of the account it uses.
    """

    entry_points: ClassVar[str]
    what: ClassVar[str]
    loads: ClassVar[Sequence[str]] = ()
    limits: VendorLimits = VendorLimits()

    @property
    def endpoint(self) -> VendorEndpoint | None:
        """The account at a vendor that it uses as of now; None if it uses none.

        All calls of a process that use one share its limits, its circuit breaker and the pace of its
        reconnects (`backends.vendors`).
        """
        return None

    def preload(self) -> None:
        """Load what runs on this machine, a model above all, before the first call; nothing by default.

        It blocks, in any thread, and is called for each bot of a process: who shares a model loads it once.

        Raises:
            FishjamAgentsError: It cannot be loaded, in one sentence that says what to do.
        """

    def describe(self) -> str:
        """Return what `check` says of it behind its name; by default its model and voice.

        One with a server says its address, one with its model on this machine that model's size and licence.
        A line has room for about 100 characters; further lines are shown below it. It holds no secrets,
        nothing is connected to or loaded for it, and it is asked only where `check` found nothing wrong.
        """
        named = ((name, getattr(self, name, None)) for name in ("model", "voice"))
        return ", ".join(f"{name} {value}" for name, value in named if isinstance(value, str) and value)

    def reserve(self, call: CallVendors) -> None:
        """Take the place at the account that a call needs; outside of a running call.

        Raises:
            LimitReachedError: There is none.
        """
        if (endpoint := self.endpoint) is not None:
            call.reserve(Vendors.shared().account(endpoint, self.limits))


def reserve_first(parts: Sequence[Registered], call: CallVendors) -> None:
    """Take a place for a call at the first of several accounts that stand in for one another.

    Raises:
        LimitReachedError: None has one.
    """
    for part in parts[:-1]:
        try:
            part.reserve(call)
        except LimitReachedError:
            continue
        return
    parts[-1].reserve(call)


def preload_any(parts: Sequence[Registered]) -> None:
    """Load several parts that stand in for one another; one that cannot be loaded is only warned of.

    Raises:
        FishjamAgentsError: None of them can be loaded: what is wrong with the first.
    """
    failures = []
    for part in parts:
        try:
            part.preload()
        except FishjamAgentsError as error:
            failures.append(error)
    if failures and len(failures) == len(parts):
        raise failures[0]
    for failure in failures:
        logger.warning("%s; what stands in for it is there", failure)


class Backend(Registered, ABC):
    """Immutable settings of a model, and the way to connect to it.

    Subclasses are frozen dataclasses: their fields are what `backend:` in config.yaml may hold.

    Attributes:
        capabilities: What it can do.
        audio_kept: Seconds of the user's audio that are kept while it is away; the oldest goes first.
        remembers: Whether it keeps the conversation in `BackendContext.memory`, so that a session with other
            settings of its class goes on with it.
        in_process: Whether all it needs is this process and the loop's clock, so that calls with it may run
            in virtual time: no sockets, threads or clocks of its own.
    """

    entry_points = "fishjam_agents.backends"
    what = "backend"
    capabilities: ClassVar[Capabilities] = Capabilities()
    audio_kept: ClassVar[float] = 10.0
    remembers: ClassVar[bool] = False
    in_process: ClassVar[bool] = False

    @property
    def endpoint(self) -> VendorEndpoint | None:
        """By its class, where it says no more."""
        return None if self.in_process else VendorEndpoint(type(self).__name__)

    @property
    def chain(self) -> Sequence[Backend]:
        """The backends that may serve a call: itself, unless it is made of others that stand in."""
        return (self,)

    @property
    def takes_tools(self) -> bool:
        """True if a bot with tools may have it: it calls them, or is told to call none."""
        return self.capabilities.tools

    def check(self) -> None:
        """Verify what can be known without connecting: files, keys, combinations of settings.

        Raises:
            FishjamAgentsError: Something is wrong, in one sentence that says what to do.
        """

    def speak(self, text: str) -> AsyncIterator[Samples]:
        """Speak given words by the voice alone, without a session (`Capabilities.speaks_alone`).

        Returns:
            int16 mono of shape (n,) in pieces of any length, at `Capabilities.output_rate`.

        Raises:
            BackendError: It cannot.
        """
        raise BackendError(f"{type(self).__name__} speaks nothing without a session: give a recording")

    def check_tools(self, tools: Sequence[ToolDeclaration]) -> None:
        """Verify that it can do with the tools of a bot what it is set to; any will do by default.

        Raises:
            FishjamAgentsError: It needs others, in one sentence that says what to do.
        """

    @abstractmethod
    def connect(self, context: BackendContext) -> AbstractAsyncContextManager[BackendSession | InlineSession]:
        """Open a session. Entering it has a deadline of the link's (15 s).

        Raises:
            BackendError: It cannot be opened.
        """
