"""The webhook: Vapi asks it for the results of tools, because its media socket takes none.

Vapi posts `{"message": {"type": "tool-calls", "toolCallList": [...], "call": {"id"}}}` to the `server.url` of
a tool or an assistant and takes `{"results": [{"name", "toolCallId", "result" | "error"}]}` as the answer
(docs.vapi.ai/tools/custom-tools).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from fishjam_agents.backends import port
from fishjam_agents.errors import BackendError, FishjamAgentsError

from .json_server import Answer, JsonRequest, JsonServer
from .translator import tool_calls
from .webhook_settings import SECRET_HEADER, WebhookSettings

logger = logging.getLogger(__name__)

RESULT_DEADLINE = 55.0
"""Seconds a result may take; tools have deadlines of their own, and Vapi's is shorter by default."""
MAX_CALLS = 32
"""Tools that one request may call."""


class ToolResultBroker:
    """The tool calls of one call: taken from requests, answered by the pipeline.

    Args:
        emit: Takes `ToolCall` events.
    """

    def __init__(self, emit: Callable[[port.BackendEvent], None]) -> None:
        self._emit = emit
        self._waiting: dict[str, asyncio.Future[port.ToolResultInput]] = {}
        self._asking: Counter[str] = Counter()

    def close(self) -> None:
        """The call is over: nobody gives results any more. One that follows it may ask for the same."""
        for call, waiting in self._waiting.items():
            if waiting.cancel():
                self._emit(port.ToolCallCancelled(call, lost=True))

    def answer(self, item: port.ToolResultInput) -> None:
        """A result. Reports of progress, which Vapi does not take, are left out."""
        waiting = self._waiting.get(item.call)
        if waiting is not None and not waiting.done() and not item.will_continue:
            waiting.set_result(item)

    async def results(self, message: dict[str, Any]) -> list[dict[str, str]]:
        """Have the tools of a message called, and wait for what they give."""
        loop = asyncio.get_running_loop()
        calls = list(tool_calls(message))[:MAX_CALLS]
        for call in calls:
            # A request that Vapi repeats waits for the first one's result.
            if call.call not in self._waiting:
                self._waiting[call.call] = loop.create_future()
                self._emit(call)
        pending = {call.call: self._waiting[call.call] for call in calls}
        self._asking.update(list(pending))
        try:
            if pending:
                await asyncio.wait(pending.values(), timeout=RESULT_DEADLINE)
            return [_result(call, pending[call.call]) for call in calls]
        finally:
            self._asking.subtract(list(pending))
            for name, waiting in pending.items():
                if not waiting.done() and not self._asking[name]:
                    # Nobody waits any more. What comes of it is told as a note, or to who asks again.
                    self._waiting.pop(name, None)
                    self._emit(port.ToolCallCancelled(name, lost=True))


def _result(call: port.ToolCall, waiting: asyncio.Future[port.ToolResultInput]) -> dict[str, str]:
    result = {"name": call.name, "toolCallId": call.call}
    if not waiting.done():
        return {**result, "error": f"{call.name} gave no result in time"}
    if waiting.cancelled():
        return {**result, "error": "the call is over"}
    item = waiting.result()
    # Vapi reads a result of several lines as a mistake.
    text = " ".join(item.result.split())
    return {**result, ("error" if item.error else "result"): text}


class _Hub:
    """One port, and the brokers of all calls that share it."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.server = JsonServer(self._answer, settings.host, settings.port)
        self.brokers: dict[str, ToolResultBroker] = {}
        self.users = 0
        self.open = asyncio.Lock()
        self.secret = settings.secret

    async def _answer(self, request: JsonRequest) -> Answer:
        if request.method != "POST":
            return 405, {"message": "POST is expected"}
        if self.secret is not None:
            given = request.headers.get(SECRET_HEADER, "")
            if not hmac.compare_digest(given.encode(), self.secret.encode()):
                return 401, {"message": "the secret is wrong"}
        message = request.body.get("message") if isinstance(request.body, dict) else None
        if not isinstance(message, dict):
            return 400, {"message": "a message is expected"}
        if message.get("type") != "tool-calls":
            return 200, {}
        call = message.get("call")
        broker = self.brokers.get(str(call.get("id"))) if isinstance(call, dict) else None
        if broker is None:
            return 404, {"message": "no such call is under way"}
        return 200, {"results": await broker.results(message)}


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], _Hub]] = WeakKeyDictionary()


@asynccontextmanager
async def webhook(settings: WebhookSettings | None) -> AsyncIterator[_Hub | None]:
    """Listen, together with the other calls of this process that use the same port.

    Raises:
        BackendError: The port cannot be listened on, or serves calls with another secret.
    """
    if settings is None:
        yield None
        return
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    place = settings.host, settings.port
    hub = hubs.setdefault(place, _Hub(settings))
    if hub.secret != settings.secret:
        raise BackendError(
            f"the webhook at {settings.host}:{settings.port} serves calls with another secret: "
            "give bots of one port the same secret, or each a port",
            failure="config",
        )
    async with hub.open:
        if hub.users == 0:
            try:
                await hub.server.__aenter__()
            except FishjamAgentsError as error:
                hubs.pop(place, None)
                raise BackendError(f"the webhook fails: {error}", failure="config") from error
        hub.users += 1
    try:
        yield hub
    finally:
        hub.users -= 1
        if hub.users == 0:
            hubs.pop(place, None)
            await hub.server.__aexit__(None, None, None)
