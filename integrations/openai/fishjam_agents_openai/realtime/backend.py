"""`type: openai_realtime`: OpenAI's Realtime API, and servers that speak it, through the real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fishjam_agents.backends import Backend, BackendContext, Capabilities
from fishjam_agents.errors import BackendError
from fishjam_agents.loopback import is_loopback_url
from fishjam_agents.secrecy import SOCKET_LOG
from fishjam_agents_openai.access import Access
from fishjam_agents_openai.realtime.failures import connection_errors
from fishjam_agents_openai.realtime.history import RATE
from fishjam_agents_openai.realtime.memory import Memory
from fishjam_agents_openai.realtime.session import RealtimeSession
from fishjam_agents_openai.realtime.settings import RealtimeSettings

if TYPE_CHECKING:
    from openai.types.websocket_connection_options import WebSocketConnectionOptions

MEMORY = "openai_realtime"
"""The name in `BackendContext.memory`."""
_MAX_FRAME = 16 * 2**20
"""Bytes of the largest message that is taken."""
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime(RealtimeSettings, Backend):
    """Speech to speech; its settings are those of `RealtimeSettings`."""

    remembers: ClassVar[bool] = True
    loads: ClassVar[Sequence[str]] = (
        *Access.loads,
        "openai.resources.realtime.realtime",
        "openai._websocket_connection",
        "openai.lib._websocket",
        "fishjam_agents.backends.direct_socket",
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
        out_of_band=True,
        respond=True,
        conversation=True,
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[RealtimeSession]:
        """Open a session: connected, configured, and told what was said before.

        Raises:
            BackendError: It cannot be opened; `failure` says why.
        """
        memory: Memory | None = context.memory.get(MEMORY)
        if memory is None:
            memory = context.memory[MEMORY] = Memory(context.instructions, context.tools)
            if context.conversation is not None:
                memory.continues(context.conversation)
        # What the call says by now; it may have gone on with other settings.
        memory.instructions, memory.tools = context.instructions, context.tools
        # The import takes half a second: not in the loop that plays audio.
        await self.load()
        async with AsyncExitStack() as stack:
            with connection_errors(self.secrets):
                try:
                    async with asyncio.timeout(self.timeout):
                        session = await self._open(context, memory, stack)
                except TimeoutError as error:
                    raise BackendError(
                        f"OpenAI Realtime did not accept the session within {self.timeout:g} s: check "
                        "base_url",
                        retryable=True,
                    ) from error
            yield session

    async def _open(self, context: BackendContext, memory: Memory, stack: AsyncExitStack) -> RealtimeSession:
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
        session = RealtimeSession(self, context, memory, live)
        await session.begin()
        return session

    def _socket(self) -> WebSocketConnectionOptions:
        # Loaded with the client, in a thread.
        from fishjam_agents.backends.direct_socket import DirectConnection

        options: dict[str, Any] = {
            "max_size": _MAX_FRAME,
            "logger": SOCKET_LOG,
            "create_connection": DirectConnection,
            "compression": None,
            "open_timeout": self.timeout,
            "close_timeout": _CLOSE_SECONDS,
            "ping_interval": self.keepalive,
            "ping_timeout": self.keepalive,
        }
        if is_loopback_url(self.address):
            # A proxy of the environment would be asked for this machine's own servers, too.
            options["proxy"] = None
        return cast("WebSocketConnectionOptions", options)
