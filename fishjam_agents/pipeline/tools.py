"""The tools of one call: what the model is offered, what it calls, and the end it may ask for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.tracebacks import SEE, raised_at
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline.goodbye import Goodbye
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.context import ToolContext
from fishjam_agents.tools.mcp import McpConnection, McpError
from fishjam_agents.tools.results import UnspeakableError
from fishjam_agents.tools.runner import ToolRunner
from fishjam_agents.tools.runs import Outcome
from fishjam_agents.tools.tool import Tool

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline
    from fishjam_agents.pipeline.call import Call

logger = logging.getLogger(__name__)


class CallTools:
    """Tools that the model of one call may use.

    Args:
        call: The call.
        pipeline: The user's bot, whose tools they are.
        speaker: Tells whose words brought a call about, by its id.
    """

    def __init__(self, call: Call, pipeline: AgentPipeline, speaker: Callable[[str], str | None]) -> None:
        self._call = call
        self._pipeline = pipeline
        self._speaker = speaker
        self._offers = call.capabilities.tools
        self._servers: list[McpConnection] = []
        self._goodbye: Goodbye | None = None
        self._runner = ToolRunner(
            call.put,
            self._context,
            self._told,
            self._failed,
            self._warn,
            self._note,
            progress=call.capabilities.background_tools,
        )

    async def open(self) -> Sequence[port.ToolDeclaration]:
        """Get everything ready that may be called; what the model is told of it."""
        if not self._offers:
            return ()
        tools = {tool.name: tool for tool in collect(self._pipeline, self._pipeline.tools)}
        self._servers = [McpConnection(server) for server in self._pipeline.mcp]
        opened = await asyncio.gather(*(server.open() for server in self._servers), return_exceptions=True)
        for server, offered in zip(self._servers, opened, strict=True):
            if isinstance(offered, McpError):
                self._call.emit(events.ErrorRaised(self._call.now(), str(offered), "mcp"))
            elif isinstance(offered, BaseException):
                raise offered
            else:
                self._add(server.server.label, offered, tools)
        self._runner.tools = tools
        return [tool.declaration for tool in tools.values()]

    def _add(self, label: str, offered: Sequence[Tool], tools: dict[str, Tool]) -> None:
        for tool in offered:
            if tool.name in tools:
                message = (
                    f"the tool {tool.name} of MCP server {label} is left out: one has that name, set a prefix"
                )
                self._call.emit(events.ErrorRaised(self._call.now(), message, "mcp"))
            else:
                tools[tool.name] = tool

    def handle(self, event: port.ToolCall | port.ToolCallCancelled) -> None:
        """Take an event of the backend. Returns at once."""
        if isinstance(event, port.ToolCallCancelled):
            self._runner.cancel(event.call, lost=event.lost)
        elif self._offers:
            self._runner.call(event)
        else:
            # A service that runs its tools itself only tells of them.
            self._call.emit(events.ToolCalled(self._call.now(), event.name, event.call, "elsewhere"))

    def say_goodbye(self) -> None:
        """End the call when what the bot says has been heard, and what it says within a moment from now.

        Who interrupts the goodbye, or speaks before the call has ended and is answered, calls that off.
        """
        if self._goodbye is not None:
            self._call.unwatch(self._goodbye)
        self._goodbye = Goodbye(self._call)
        self._call.watch(self._goodbye)

    async def close(self) -> None:
        """Cancel what runs."""
        await self._runner.close()
        await asyncio.gather(*(server.close() for server in self._servers))

    def _context(self, call: port.ToolCall, tool: Tool, report: Callable[[str], None]) -> ToolContext:
        peer = self._speaker(call.call) if call.peer is None else call.peer
        return ToolContext(call.call, tool.name, self._pipeline, peer, report)

    def _told(self, name: str, call: str, outcome: Outcome, seconds: float) -> None:
        self._call.emit(events.ToolCalled(self._call.now(), name, call, outcome, round(seconds, 3)))

    def _failed(self, name: str, error: Exception) -> None:
        # What a tool raises may hold what a caller said, or a key: the whole of it at debug level only.
        kind = type(error).__name__
        extra = {"call": self._call.id}
        if isinstance(error, UnspeakableError):
            advice = "return text, numbers, lists, mappings, dataclasses or models"
            logger.warning("The tool %s gave no answer (%s): %s", name, error, advice, extra=extra)
        else:
            at = raised_at(error)
            logger.warning("The tool %s failed (%s, raised at %s): %s", name, kind, at, SEE, extra=extra)
        logger.debug("The tool %s failed", name, exc_info=error, extra=extra)
        self._call.hook("on_error", error)

    def _note(self, call: port.ToolCall, text: str) -> None:
        if self._call.capabilities.text:
            # Whoever's session called is gone with them.
            with contextlib.suppress(BackendError):
                self._call.send_text(port.TextInput(text, note=True), self._speaker(call.call))

    def _warn(self, message: str) -> None:
        self._call.emit(events.BackendWarning(message, at=self._call.now()))
