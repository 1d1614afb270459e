"""`type: cascade`: speech to text, a language model and text to speech, composed to one backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from fishjam_agents.backends.cascade.fallbacks import Fallbacks
from fishjam_agents.backends.cascade.parts import STT_RATE, LanguageModel, Part, SpeechToText, TextToSpeech
from fishjam_agents.backends.cascade.reply import OUTPUT_RATE
from fishjam_agents.backends.cascade.session import CascadeSession
from fishjam_agents.backends.port import Backend, BackendSession, Capabilities, Conversation, Warning


@dataclass(frozen=True, slots=True)
class Cascade(Backend):
    """A backend made of three parts. Several for one job: the later ones stand in for those that fail.

    Attributes:
        stt: Speech to text.
        llm: The language model.
        tts: The voice.
        history: Messages of the conversation that the model is shown.
        filler: What is said when the model calls a tool before it has said a word.
        deadline: Seconds a part may take for its first piece, and between two.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=STT_RATE,
        output_rate=OUTPUT_RATE,
        wants_turn_audio=True,
        truncate=True,
        cancel=True,
        tools=True,
        text=True,
        verbatim_say=True,
        replies_wait=True,
    )

    stt: Sequence[SpeechToText]
    llm: Sequence[LanguageModel]
    tts: Sequence[TextToSpeech]
    history: int = 100
    filler: str | None = None
    deadline: float = 10.0

    def __post_init__(self) -> None:
        for name in ("stt", "llm", "tts"):
            if not getattr(self, name):
                raise ValueError(f"{name}: a cascade needs at least one")
        if self.history < 2:
            raise ValueError("history must be at least 2")
        if self.deadline <= 0:
            raise ValueError("deadline must be above 0")

    @property
    def parts(self) -> Iterator[Part]:
        """All of them."""
        yield from (*self.stt, *self.llm, *self.tts)

    @property
    def in_process(self) -> bool:  # type: ignore[override]
        """Whether each part is."""
        return all(part.in_process for part in self.parts)

    def check(self) -> None:
        """Check the parts."""
        for part in self.parts:
            part.check()

    @asynccontextmanager
    async def connect(self, conversation: Conversation) -> AsyncIterator[BackendSession]:
        """Begin a conversation."""

        def warn(message: str) -> None:
            conversation.emit(Warning(message))

        async with AsyncExitStack() as calls:
            stt = [await calls.enter_async_context(part.connect()) for part in self.stt]
            llm = [await calls.enter_async_context(part.connect()) for part in self.llm]
            tts = [await calls.enter_async_context(part.connect()) for part in self.tts]
            session = CascadeSession(
                conversation,
                Fallbacks("speech to text", stt, self.deadline, warn),
                Fallbacks("the language model", llm, self.deadline, warn),
                Fallbacks("text to speech", tts, self.deadline, warn),
                self.history,
                self.filler,
            )
            calls.push_async_callback(session.close)
            yield session
