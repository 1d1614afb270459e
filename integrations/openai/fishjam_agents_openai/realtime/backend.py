"""`type: openai_realtime`: OpenAI's Realtime API, and servers that speak it, through the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fishjam_agents.backends import Backend, Capabilities, Conversation
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents_openai.access import Access
from fishjam_agents_openai.realtime.failures import connection_errors
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.session import RealtimeSession
from fishjam_agents_openai.realtime.settings import Detection

_RATE = 24000
"""Hz of `audio/pcm`, both ways; the service takes no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime(Access, Backend):
    """Speech to speech. What is None is not sent; the service has its own defaults.

    Attributes:
        model: Its name.
        voice: One of its voices.
        speed: 0.25 to 1.5.
        detection: The service's turn detection; only asked where `turns.owner` is `backend`.
        transcription: Model that writes down what users say; None writes nothing down.
        language: Two letters, for the transcription.
        noise_reduction: `near_field` for headsets, `far_field` for rooms.
        max_output_tokens: Bound of a reply.
        renew_after: Seconds after which a connection is renewed at a quiet moment, before the service ends it
            after an hour.
        raw: Further fields of the session, laid over all others.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=_RATE,
        output_rate=_RATE,
        own_turn_detection=True,
        truncate=True,
        cancel=True,
        images=True,
        tools=True,
        text=True,
    )

    model: str = "gpt-realtime-2.1"
    voice: str | None = None
    speed: float | None = None
    detection: Detection = Detection()  # noqa: RUF009 - frozen
    transcription: str | None = "gpt-live-transcribe"
    language: str | None = None
    noise_reduction: str | None = None
    max_output_tokens: int | None = None
    renew_after: float = 3300.0
    raw: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """As `Access.check`."""
        Access.check(self)

    @asynccontextmanager
    async def connect(self, conversation: Conversation) -> AsyncIterator[RealtimeSession]:
        """Open a session: connected, configured, and told what was said before."""
        memory: Memory = conversation.memory.setdefault(
            "openai_realtime", Memory(conversation.instructions, conversation.tools)
        )
        with connection_errors():
            async with (
                self.client() as client,
                client.realtime.connect(model=self.model, **self.besides) as live,
            ):
                session = RealtimeSession(self, conversation, memory, live)
                await session.begin(
                    self.session(memory.instructions, memory.tools, conversation.owner == "local")
                )
                yield session

    def session(
        self, instructions: str | None, tools: Sequence[ToolDeclaration], local: bool
    ) -> dict[str, Any]:
        """The session as it is asked for."""
        pcm = {"type": "audio/pcm", "rate": _RATE}
        hears: dict[str, Any] = {"format": pcm, "turn_detection": None if local else self.detection.as_sent()}
        speaks: dict[str, Any] = {"format": pcm}
        if self.transcription is not None:
            hears["transcription"] = {"model": self.transcription}
            if self.language is not None:
                hears["transcription"]["language"] = self.language
        if self.noise_reduction is not None:
            hears["noise_reduction"] = {"type": self.noise_reduction}
        if self.voice is not None:
            speaks["voice"] = self.voice
        if self.speed is not None:
            speaks["speed"] = self.speed
        wanted: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": hears, "output": speaks},
            "tools": [tool_as_sent(tool) for tool in tools],
        }
        if instructions:
            wanted["instructions"] = instructions
        if self.max_output_tokens is not None:
            wanted["max_output_tokens"] = self.max_output_tokens
        return wanted | dict(self.raw)


def tool_as_sent(tool: ToolDeclaration) -> dict[str, Any]:
    """A tool of the session."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
