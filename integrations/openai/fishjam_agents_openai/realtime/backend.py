"""`type: openai_realtime`: OpenAI's Realtime API, and servers that speak it, through the real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from fishjam_agents.backends import Backend, Capabilities, Conversation
from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import BackendError
from fishjam_agents.secrecy import SOCKET_LOG
from fishjam_agents_openai.access import Access, is_loopback
from fishjam_agents_openai.realtime.failures import connection_errors
from fishjam_agents_openai.realtime.history import RATE
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.session import RealtimeSession
from fishjam_agents_openai.realtime.settings import Detection, Effort, beta_session
from fishjam_agents_openai.realtime.usage import PRICED

if TYPE_CHECKING:
    from openai.types.websocket_connection_options import WebSocketConnectionOptions

_HOUR = 3600.0
"""Seconds after which the service ends a session."""
_MAX_TOKENS = 4096
_SPEEDS = (0.25, 1.5)
_MAX_FRAME = 16 * 2**20
"""Bytes of the largest message that is taken."""
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime(Access, Backend):
    """Speech to speech. What is None is not sent; the service has its own defaults.

    Attributes:
        model: Its name; on Azure that of the deployment.
        voice: One of its voices.
        speed: 0.25 to 1.5.
        detection: The service's turn detection; only asked where `turns.owner` is `backend`.
        transcription: Model that writes down what users say; None writes nothing down.
        language: Two letters, for the transcription.
        keywords: Words the transcription may meet.
        noise_reduction: `near_field` for headsets, `far_field` for rooms.
        reasoning: How much a reasoning model thinks before it speaks.
        max_output_tokens: Bound of a reply, 1 to 4096.
        renew_after: Seconds after which a connection is renewed at a quiet moment, before the service ends it
            after an hour.
        answer_timeout: Seconds an answer may take before the connection is looked after.
        keepalive: Seconds between two pings, and for the answer to one.
        prices: Price of a million tokens by `input_text`, `input_audio`, `input_image`, `cached_text`,
            `cached_audio`, `cached_image`, `output_text`, `output_audio`, `transcription_input`,
            `transcription_output`, and of a second by `transcription_seconds`; turns on the running cost.
        beta: Whether the server knows only the session of the old beta. Events are understood by either name.
        raw: Further fields of the session, laid over all others.
    """

    loads: ClassVar[Sequence[str]] = (
        *Access.loads,
        "openai.resources.realtime.realtime",
        "openai._websocket_connection",
        "openai.lib._websocket",
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE,
        output_rate=RATE,
        own_turn_detection=True,
        truncate=True,
        cancel=True,
        images=True,
        tools=True,
        text=True,
        control=True,
        asks=True,
    )

    model: str = "gpt-realtime-2.1"
    voice: str | None = None
    speed: float | None = None
    detection: Detection = Detection()  # noqa: RUF009 - frozen
    transcription: str | None = "gpt-live-transcribe"
    language: str | None = None
    keywords: tuple[str, ...] = ()
    noise_reduction: Literal["near_field", "far_field"] | None = None
    reasoning: Effort | None = None
    max_output_tokens: int | None = None
    renew_after: float = 3300.0
    answer_timeout: float = 20.0
    keepalive: float = 10.0
    prices: Mapping[str, float] = field(default_factory=dict)
    beta: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ValueError("model must be the name of a model, like gpt-realtime-2.1")
        if self.speed is not None and not _SPEEDS[0] <= self.speed <= _SPEEDS[1]:
            raise ValueError(f"speed must be between {_SPEEDS[0]:g} and {_SPEEDS[1]:g}, not {self.speed:g}")
        if self.max_output_tokens is not None and not 1 <= self.max_output_tokens <= _MAX_TOKENS:
            raise ValueError(f"max_output_tokens must be between 1 and {_MAX_TOKENS}")
        if not 0 < self.renew_after < _HOUR:
            raise ValueError(f"renew_after must be positive and less than {_HOUR:g}, the service's own limit")
        if self.answer_timeout <= 0 or self.keepalive <= 0:
            raise ValueError("answer_timeout and keepalive must be positive")
        unknown = self.prices.keys() - PRICED
        if unknown:
            raise ValueError(f"prices knows no {min(unknown)}: use {', '.join(sorted(PRICED))}")

    def check(self) -> None:
        """As `Access.check`."""
        Access.check(self)

    @asynccontextmanager
    async def connect(self, conversation: Conversation) -> AsyncIterator[RealtimeSession]:
        """Open a session: connected, configured, and told what was said before.

        Raises:
            BackendError: It cannot be opened; `failure` says why.
        """
        memory: Memory = conversation.memory.setdefault(
            "openai_realtime", Memory(conversation.instructions, conversation.tools)
        )
        # The import takes half a second: not in the loop that plays audio.
        await self.load()
        async with AsyncExitStack() as stack:
            with connection_errors(self.secrets):
                try:
                    async with asyncio.timeout(self.timeout):
                        session = await self._open(conversation, memory, stack)
                except TimeoutError as error:
                    raise BackendError(
                        f"OpenAI Realtime did not accept the session within {self.timeout:g} s: check "
                        "base_url",
                        retryable=True,
                    ) from error
            yield session

    async def _open(
        self, conversation: Conversation, memory: Memory, stack: AsyncExitStack
    ) -> RealtimeSession:
        besides = self.besides
        if self.beta:
            besides["extra_headers"]["openai-beta"] = "realtime=v1"
        client = await stack.enter_async_context(self.client())
        live = await stack.enter_async_context(
            client.realtime.connect(
                model=self.model,
                **besides,
                websocket_connection_options=self._socket(),
                # A session that is connected anew has to be told what was said: that is done here.
                max_retries=0,
            )
        )
        session = RealtimeSession(self, conversation, memory, live)
        await session.begin()
        return session

    def _socket(self) -> WebSocketConnectionOptions:
        options: dict[str, Any] = {
            "max_size": _MAX_FRAME,
            "logger": SOCKET_LOG,
            "compression": None,
            "open_timeout": self.timeout,
            "close_timeout": _CLOSE_SECONDS,
            "ping_interval": self.keepalive,
            "ping_timeout": self.keepalive,
        }
        if is_loopback(self.address):
            # A proxy of the environment would be asked for this machine's own servers, too.
            options["proxy"] = None
        return cast("WebSocketConnectionOptions", options)

    def session(
        self, instructions: str | None, tools: Sequence[ToolDeclaration], local: bool
    ) -> dict[str, Any]:
        """The session as it is asked for."""
        pcm = {"type": "audio/pcm", "rate": RATE}
        hears: dict[str, Any] = {"format": pcm, "turn_detection": None if local else self.detection.as_sent()}
        speaks: dict[str, Any] = {"format": pcm}
        if self.transcription is not None:
            hears["transcription"] = {"model": self.transcription}
            if self.language is not None:
                hears["transcription"]["language"] = self.language
            if self.keywords:
                hears["transcription"]["keywords"] = list(self.keywords)
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
        if self.reasoning is not None:
            wanted["reasoning"] = {"effort": self.reasoning}
        if self.max_output_tokens is not None:
            wanted["max_output_tokens"] = self.max_output_tokens
        if self.beta:
            wanted = beta_session(wanted)
        return wanted | dict(self.raw)

    def session_update(self, instructions: str | None, tools: Sequence[ToolDeclaration]) -> dict[str, Any]:
        """What is sent when instructions or tools change: voice and formats are fixed once it has spoken."""
        update: dict[str, Any] = {"instructions": instructions or "", "tools": [*map(tool_as_sent, tools)]}
        return update if self.beta else {"type": "realtime", **update}


def tool_as_sent(tool: ToolDeclaration) -> dict[str, Any]:
    """A tool of the session."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
