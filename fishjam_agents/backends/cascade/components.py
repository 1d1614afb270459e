"""The three small ports of a cascade: speech to text, language model, text to speech.

A part is immutable settings, `connect()`, entered once for each call, and one method that returns an async
iterator. A cascade closes the iterator the moment nobody wants the rest (a barge-in): whatever it has open, a
response that streams above all, is to be closed in a `finally` or an `async with` of the generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from fishjam_agents.backends.cascade.speech import RATE, Speech
from fishjam_agents.backends.port import Registered, Samples, ToolDeclaration
from fishjam_agents.errors import BackendError

P = TypeVar("P")
STT_RATE = RATE
"""Hz of the turns that speech to text gets."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Text understood of a turn so far: all of it, not the difference.

    Attributes:
        text: The words.
        final: Whether nothing more comes of the turn.
        stable: Whether these are all words up to the speaker's last pause (`Paused`), and stay what they are.
        end: Where the last word ended, seconds of the sound; None where that is not known.
    """

    text: str
    final: bool = False
    stable: bool = False
    end: float | None = None


@dataclass(frozen=True, slots=True)
class EndOfSpeech:
    """The recogniser's own verdict that the speaker is done."""


@dataclass(frozen=True, slots=True)
class LLMToolCall:
    """A tool that the model wants called.

    Attributes:
        call: Id of the call; no other one of the conversation has it.
        name: The tool.
        arguments: By parameter.
        unreadable: What is wrong with the arguments, if they cannot be read: the model is told, and the tool
            is not run. `backends.arguments.read_arguments` gives both.
    """

    call: str
    name: str
    arguments: Mapping[str, Any]
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation.

    Attributes:
        role: Who says it; `tool` for the answer to a call.
        text: The words.
        calls: Of the assistant: the tools it called.
        call: Of a tool: which call it answers.
        error: Of a tool: whether the text says what went wrong.
        images: Of the user: stills, each with its content type.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: Sequence[LLMToolCall] = ()
    call: str | None = None
    images: Sequence[tuple[bytes, str]] = ()
    error: bool = False

    def without_images(self) -> Message:
        """Return the message as a model without eyes is shown it, or one that saw its pictures before."""
        return replace(self, images=()) if self.images else self


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Reasoning of a model, which is never spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class LLMUsage:
    """Cost of a request, by the vendor's own names."""

    amounts: Mapping[str, float]


LLMChunk: TypeAlias = str | Reasoning | LLMToolCall | LLMUsage
"""Output of a language model: words to speak in pieces of any size, and items that are not spoken."""


class ContextFullError(BackendError):
    """A conversation is longer than a model has room for: its oldest exchanges go, and it is asked again.

    Raised before the first piece; no other model stands in for that.
    """


class Component(Registered):
    """One part of a cascade.

    Subclasses are frozen dataclasses: their fields are what the part's section in config.yaml may hold.

    Attributes:
        in_process: As `Backend.in_process`.
    """

    in_process: ClassVar[bool] = False

    def check(self) -> None:
        """Verify what can be known without connecting: as `Backend.check`.

        Raises:
            FishjamAgentsError: Something is wrong, in one sentence that says what to do.
        """


TranscriptPiece: TypeAlias = Transcript | EndOfSpeech | LLMUsage
"""Output of speech to text."""


class SpeechToText(Component, ABC):
    """Understands turns that are over. Who understands while people speak is a `StreamingSpeechToText`.

    Attributes:
        streams: Whether it does.
    """

    entry_points = "fishjam_agents.stt"
    what = "speech to text"
    streams: ClassVar[bool] = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpeechToText]:
        """Get ready for a call: what is yielded does its work. By default the part itself."""
        yield self

    @abstractmethod
    def transcribe(self, audio: Samples) -> AsyncIterator[TranscriptPiece]:
        """Understand one turn.

        Args:
            audio: int16 mono at 16 kHz, shape (n,).

        Returns:
            What is understood, as it grows; the last transcript is final.

        Raises:
            BackendError: It cannot.
        """

    async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        """Understand a turn that may still be going on: as a whole, when it is over."""
        await speech.over()
        async with aclosing(_closable(self.transcribe(speech.samples))) as pieces:
            async for piece in pieces:
                yield piece


async def _closable(pieces: AsyncIterator[P]) -> AsyncGenerator[P, None]:
    """Yield from an iterator, and close it if it can be closed."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


class StreamingSpeechToText(SpeechToText, ABC):
    """Understands turns while they are spoken."""

    streams: ClassVar[bool] = True

    @abstractmethod
    def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        """Understand a turn from its onset on.

        Follow the sound (`async for piece in speech.follow()`), and yield what is understood as it grows. At
        a `Paused` have it understood up to there. When the sound is over a final transcript is due.
        Iterators of several turns may be open at a time, the later ones of turns that began later: what comes
        late belongs to the turn that it was spoken in.

        Returns:
            What is understood, as it grows; the last transcript is final.

        Raises:
            BackendError: It cannot. If it can be tried again it is asked anew, about the same `speech`.
        """

    def transcribe(self, audio: Samples) -> AsyncIterator[TranscriptPiece]:
        """Understand one turn that is over."""
        return self.hear(Speech.complete(audio))


class LanguageModel(Component, ABC):
    """Answers conversations.

    Attributes:
        vision: Whether it looks at `Message.images`; one that does not is given none.
    """

    entry_points = "fishjam_agents.llm"
    what = "language model"
    vision: bool = False

    def check_tools(self, tools: Sequence[ToolDeclaration]) -> None:
        """Verify the tools on offer: as `Backend.check_tools`."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LanguageModel]:
        """Get ready for a call: what is yielded does its work. By default the part itself."""
        yield self

    @abstractmethod
    def reply(self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]) -> AsyncIterator[LLMChunk]:
        """Go on with a conversation, whose last message is the user's or a tool's.

        Raises:
            ContextFullError: It is too long.
            BackendError: It cannot.
        """


class TextToSpeech(Component, ABC):
    """Speaks sentences.

    Attributes:
        sample_rate: Hz of what it speaks.
    """

    entry_points = "fishjam_agents.tts"
    what = "text to speech"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[TextToSpeech]:
        """Get ready for a call: what is yielded does its work. By default the part itself."""
        yield self

    sample_rate: int

    @abstractmethod
    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Speak one sentence.

        Returns:
            16-bit little-endian mono PCM in pieces of any size, odd ones too.

        Raises:
            BackendError: It cannot.
        """
