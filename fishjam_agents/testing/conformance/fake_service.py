"""The other end of a backend, as the kit steers and sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import FailureKind

Kind: TypeAlias = Literal[
    "turn_started",
    "audio",
    "turn_ended",
    "text",
    "image",
    "interrupt",
    "tool_result",
    "instructions",
    "tools",
    "control",
]
ALL_KINDS: frozenset[Kind] = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class Received:
    """Something that reached the far side.

    Attributes:
        kind: What it was.
        value: `audio`: its seconds. `turn_ended`: seconds of the audio that came with it, 0 without. `text`:
            the words. `image`: its bytes. `interrupt`: seconds of the reply that were heard, its words where
            those are told, None if it does not say. `tool_result`: the text of the answer. `instructions`:
            the system prompt as it is from then on. `tools`: the names of the tools from then on, a tuple.
            `control`: the message. `turn_started`: nothing.
        call: Of a tool result, the id of the call.
    """

    kind: Kind
    value: Any = None
    call: str | None = None


class CannotError(AssertionError):
    """The kit asked the far side for something that it does not do."""


class FakeService(ABC):
    """A backend and what it talks to: an emulator of the vendor's service, a local server, or nothing at all.

    Used as an async context manager: it starts and stops with a test. A method that is not overridden fails
    the tests that need it; which do, follows from what the backend claims in its `capabilities`.

    Attributes:
        connects: Whether there is a connection that can be refused and lost.
        sees: Kinds of `Received` that the wire shows in the order they were sent. A service that is never
            told of turns sees none.
        marks_replies: Whether `reply` decides what a reply sounds like.
        messages: Whether what comes over its connections are messages that can be wrong.
        unprompted: Whether the service does anything by itself. If not, what it is to begin, or to be told,
            comes with the next turn.
        resumes: Whether the service takes a conversation up where a lost connection left it.
        shows_knowledge: Whether `known` tells what the model knows.
        refusals: Kinds of failure that `refuse` can produce.
        secret: A text (the key) that must be in no message and no repr.
        control: A message of the vendor's own that does no harm.
        notices: Seconds within which a connection that is dead without being closed is noticed.
        patience: Seconds within which anything that is to happen here happens.
        deadline: Seconds after which the link gives up a connection, or an input, in these tests.
    """

    connects: bool = True
    sees: frozenset[Kind] = ALL_KINDS
    marks_replies: bool = True
    messages: bool = True
    unprompted: bool = True
    resumes: bool = False
    shows_knowledge: bool = True
    refusals: frozenset[FailureKind] = frozenset({"network", "auth"})
    secret: str | None = None
    control: Mapping[str, Any] = MappingProxyType({"type": "kit"})
    notices: float = 15.0
    patience: float = 5.0
    deadline: float = 1.0

    async def __aenter__(self) -> FakeService:
        return self

    async def __aexit__(  # noqa: B027 - some have nothing to stop
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; nothing is held by default."""

    @abstractmethod
    def backend(self) -> Backend:
        """The backend under test, pointed here. Its own deadlines may be short."""

    @abstractmethod
    def received(self) -> Sequence[Received]:
        """Everything that came, over all connections, in order."""

    async def reply(self, seconds: float, sample: int) -> None:
        """Answer the next turn with so much audio, as the service gives it.

        Args:
            seconds: How much of it, at least.
            sample: The value of all its samples, so that replies can be told apart.
        """
        self._cannot("reply")

    async def late_audio(self) -> None:  # noqa: B027 - some are never late
        """Send more audio of the reply that was interrupted, as a service does that did not know yet."""

    async def interrupt(self) -> None:
        """Decide that the user interrupts the reply."""
        self._cannot("interrupt")

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Have the model call a tool."""
        self._cannot("call_tool")

    async def cancel_tool(self, call: str) -> None:  # noqa: B027
        """Have the model take a call back. Services that never do leave this as it is."""

    async def answer_question(self, text: str) -> None:
        """Answer the next question beside the conversation with this."""
        self._cannot("answer_question")

    def known(self) -> str:
        """All that the model has been told in words so far, instructions included, in any form."""
        self._cannot("known")

    async def stall(self) -> None:
        """Let every connection go half-open: read nothing, say nothing, answer no ping, close nothing.

        What is sent into it has not been received. `open_connections` no longer counts it.
        """
        self._cannot("stall")

    async def garble(self) -> None:
        """Send messages that are none: no JSON, JSON of another shape, a field of another type."""
        self._cannot("garble")

    async def flood(self) -> None:
        """Send one message of more than 16 MiB."""
        self._cannot("flood")

    async def drop(self) -> None:
        """Cut every connection without a word, half-open ones too."""
        self._cannot("drop")

    async def refuse(self, kind: FailureKind | None) -> None:
        """Fail every connection from now on in this way; None lets them in again."""
        self._cannot("refuse")

    async def hold(self) -> None:
        """Take every connection from now on, and never say a word."""
        self._cannot("hold")

    def open_connections(self) -> int:
        """Return the number of connections that are open now."""
        self._cannot("open_connections")

    def _cannot(self, what: str) -> NoReturn:
        raise CannotError(
            f"{type(self).__name__} has no {what}(), which the tests of this backend need: write it, or do "
            "not claim the capability"
        )
