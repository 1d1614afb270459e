"""The other end of a part of a cascade, as the kit steers and sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, TypeAlias

from fishjam_agents.backends.cascade import (
    LanguageModel,
    LLMToolCall,
    Reasoning,
    SpeechToText,
    TextToSpeech,
)
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance.fake_service import CannotError


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is cut without a word."""


@dataclass(frozen=True, slots=True)
class Fails:
    """The service says in the middle of an answer that it failed."""

    message: str = "out of memory"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something comes that no version of the part knows: a field, an event."""


AnyPart: TypeAlias = SpeechToText | LanguageModel | TextToSpeech
PartStep: TypeAlias = str | bytes | float | Reasoning | LLMToolCall | Cut | Fails | Unknown
"""A step of an answer: words, sound, a pause in seconds, a thought, a call of a tool, or trouble."""


class FakeComponentService(ABC):
    """A part and the service behind it: an emulator of the vendor's wire, a local server, or nothing.

    Used as an async context manager: it starts and stops with a test.

    Attributes:
        in_process: Whether part and service need nothing but this process, and may run in virtual time.
        connects: Whether there is a service that can be steered. Without one, only what the part does by
            itself is tested.
        streams: Whether the first piece of an answer comes before the last one is there.
        partials: Of speech to text: whether words come while the sound does, not only at pauses.
        shows: Kinds of trouble that an answer on this wire can have.
        refusals: Kinds of failure that `refuse` can produce.
        secret: A text (the key) that must be in no message and no repr.
        deadline: Seconds after which the part gives up a silent service; None leaves that to the cascade.
        patience: Seconds within which anything that is to happen here happens.
    """

    in_process: bool = False
    connects: bool = True
    streams: bool = True
    partials: bool = True
    shows: frozenset[type] = frozenset({Cut, Fails, Unknown})
    refusals: frozenset[FailureKind] = frozenset({"network", "auth", "config", "quota"})
    secret: str | None = None
    deadline: float | None = None
    patience: float = 5.0

    async def __aenter__(self) -> FakeComponentService:
        return self

    async def __aexit__(  # noqa: B027 - some have nothing to stop
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; nothing is held by default."""

    @abstractmethod
    def part(self) -> AnyPart:
        """The part under test, pointed here. It is asked for once this has started."""

    async def answer(self, *steps: PartStep) -> None:
        """Answer the next request so; requests that are not prepared are answered in any way.

        To speech to text that streams, what is said up to a pause is a request, and what is said after it.
        """
        self._cannot("answer")

    async def refuse(self, kind: FailureKind) -> None:
        """Fail the next request in this way, before anything of its answer."""
        self._cannot("refuse")

    def requests(self) -> int:
        """Return the number of requests that have come."""
        self._cannot("requests")

    def open_requests(self) -> int:
        """Return how many are being answered now, as the service sees it: 0 when all clients have hung up.

        On a connection that lasts, what is neither answered nor taken back.
        """
        self._cannot("open_requests")

    def received(self) -> Sequence[Any]:
        """Return the content of each request: seconds of audio, conversation as messages, or the sentence."""
        self._cannot("received")

    def _cannot(self, what: str) -> NoReturn:
        raise CannotError(
            f"{type(self).__name__} has no {what}(), which the tests of this part need: write it"
        )


class ComponentAlone(FakeComponentService):
    """A part without a service: a program, a library, a few lines.

    Args:
        part: The part.
    """

    connects = False
    refusals = frozenset()

    def __init__(self, part: AnyPart) -> None:
        self._part = part
        self.in_process = part.in_process

    def part(self) -> AnyPart:
        """The part."""
        return self._part

    def open_requests(self) -> int:
        """None that could be seen; override it where something stays open, such as a process."""
        return 0
