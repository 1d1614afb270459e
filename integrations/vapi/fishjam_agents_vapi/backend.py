"""`type: vapi`: this process bridges a room to a Vapi call, so that turns, recordings and hooks stay ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from fishjam_agents.backends.port import BackendContext, BackendSession, Capabilities, UpdateInput
from fishjam_agents.errors import BackendError

from .settings import CallSettings
from .webhook_settings import WebhookSettings


@dataclass(frozen=True, slots=True)
class Vapi(CallSettings):
    """A Vapi assistant behind its media socket.

    Attributes:
        sample_rate: Hz both ways; GPT-Live assistants need 24000 (Vapi's API reference).
        on_lost: What follows when the media socket is lost. Vapi cannot resume a call: `end` ends ours, too,
            `new_call` begins another one, which knows nothing of the first.
        webhook: Where Vapi asks for the results of our tools; without it tool calls are only observed.
    """

    sample_rate: Literal[16000, 24000] = 16000
    on_lost: Literal["end", "new_call"] = "end"
    webhook: WebhookSettings | None = None

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Capabilities of the backend: tools only where Vapi can ask for their results."""
        return Capabilities(
            input_rate=self.sample_rate,
            output_rate=self.sample_rate,
            own_turn_detection=True,
            tools=self.webhook is not None,
            fixed_tools=True,
            text=True,
            verbatim_say=True,
            respond=True,
            control=True,
        )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        """Create a call and open its media socket; leaving ends the call.

        Raises:
            BackendError: Vapi refuses, cannot be reached, or answers with something else; or the webhook's
                port cannot be listened on.
            ConfigError: There is no key.
        """
        from .api import VapiApi
        from .session import INSTRUCTIONS, VapiSession, media_socket
        from .translator import Translator
        from .webhook import ToolResultBroker, webhook

        key = self.key
        async with AsyncExitStack() as stack:
            hub = await stack.enter_async_context(webhook(self.webhook))
            api = await stack.enter_async_context(VapiApi(self.api_url, key))
            server = None if self.webhook is None else self.webhook.as_server()
            call = await api.create(self.body(self.sample_rate, context.tools, server))
            url = call.media_url
            if url is None:
                raise BackendError(
                    f"gave no media socket for the call {call.id}",
                    subject="Vapi",
                    action="check url",
                    failure="protocol",
                )
            translator = Translator(context.emit, f"vapi-{context.attempt}", tools=self.webhook is None)
            broker = None
            if hub is not None:
                broker = hub.brokers[call.id] = ToolResultBroker(context.emit)
                stack.callback(broker.close)
                stack.callback(hub.brokers.pop, call.id)
            try:
                socket = await stack.enter_async_context(media_socket(url, key))
            except BaseException:
                await api.hang_up(call)
                raise
            session = VapiSession(
                socket,
                api,
                call,
                translator,
                broker,
                rate=self.sample_rate,
                new_call=self.on_lost == "new_call",
                memory=context.memory,
            )
            stack.push_async_callback(session.hang_up)
            # A new call knows nothing of what the one before was told.
            instructions = context.memory.get(INSTRUCTIONS, context.instructions)
            if instructions:
                await session.send(UpdateInput(instructions=instructions))
            yield session
