"""Tools of one call: those the model is offered, and those it calls."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.backends.conversation import ToolLine
from fishjam_agents.backends.tracebacks import SEE, raised_at
from fishjam_agents.errors import BackendError, FishjamAgentsError
from fishjam_agents.journal.entries import JournalEntry, ToolEnded, ToolIntended
from fishjam_agents.journal.journal import CallJournal
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.journal_watcher import EntryTaker
from fishjam_agents.pipeline.mcp_servers import CallMcpServers
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.tool_payloads import ToolPayloads
from fishjam_agents.tools.collect import collect
from fishjam_agents.tools.context import ToolContext, ToolError, ToolHost
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.results import UnspeakableError
from fishjam_agents.tools.runner import ToolRunner
from fishjam_agents.tools.runs import Outcome
from fishjam_agents.tools.tool import Tool

logger = logging.getLogger(__name__)


class CallTools:
    """Tools that the model of one call may use.

    Args:
        context: The call.
        bot: The user's bot, whose methods may be tools.
        functions: Further tools.
        servers: MCP servers that offer some.
        backend: Taker of their answers.
        send_text: Passes text to the backend, or to a peer's session of it.
        caller: Returns whose words brought a tool call about, by its id.
        payloads: Shows arguments and results in events, or does not.
        journal: The call's journal, which has each call before it is run; None without one.
        record: What was said and done so far; None where nobody asks.
        hand_over: Lets another bot go on with the call; returns what the model is told.
    """

    def __init__(
        self,
        context: CallContext,
        bot: ToolHost,
        functions: Sequence[Callable[..., Any] | Tool],
        servers: Sequence[McpServer],
        backend: BackendInputSink,
        send_text: Callable[[port.TextInput, str | None], None],
        caller: Callable[[str], str | None],
        payloads: ToolPayloads,
        journal: CallJournal | None = None,
        record: EntryTaker | None = None,
        hand_over: Callable[[Handoff], Awaitable[str]] | None = None,
    ) -> None:
        self._record = record
        self._hand_over = hand_over
        self._opened = False
        self._journal = journal
        self._again: dict[str, str] = {}
        self._context = context
        self._bot = bot
        self._functions = functions
        self._servers = servers
        self._mcp = CallMcpServers(self._missing)
        self._send_text = send_text
        self._caller = caller
        self._payloads = payloads
        self._is_offered = context.capabilities.tools
        self._runner = ToolRunner(
            backend.put,
            self._make_context,
            self._started,
            self._told,
            self._failed,
            self._warn,
            self._note,
            progress=context.capabilities.background_tools,
            ready=None if journal is None else self._intended,
            hand_over=self._hand,
        )

    @property
    def is_awaited(self) -> bool:
        """True while the model waits for the answer of a tool."""
        return self._runner.is_awaited

    async def open(self) -> Sequence[port.ToolDeclaration]:
        """Get everything ready that may be called; return the declarations for the model."""
        await self.connect(self._servers)
        self._opened = True
        return self._declare()

    async def connect(self, servers: Sequence[McpServer]) -> None:
        """Connect MCP servers, but for those that are."""
        if self._is_offered:
            await self._mcp.connect(servers)

    def offer(
        self, bot: ToolHost, functions: Sequence[Callable[..., Any] | Tool], servers: Sequence[McpServer]
    ) -> Sequence[port.ToolDeclaration] | None:
        """Offer the model other tools.

        Args:
            bot: The bot whose methods may be tools.
            functions: Further tools.
            servers: MCP servers that offer some, of those that are connected.

        Returns:
            Their declarations; None while `open` has not been called, which returns them then.
        """
        self._bot, self._functions, self._servers = bot, functions, servers
        return self._declare() if self._opened else None

    def _declare(self) -> Sequence[port.ToolDeclaration]:
        if not self._is_offered:
            return ()
        tools = {tool.name: tool for tool in collect(self._bot, self._functions)}
        for server, brought in self._mcp.offered(self._servers):
            self._add(server.label, brought, tools)
        self._runner.tools = tools
        return [tool.declaration for tool in tools.values()]

    def lose_session(self) -> None:
        """Another session goes on, which knows nothing of the calls that are being answered."""
        self._runner.lose_session()

    async def _hand(self, call: str, handoff: Handoff) -> str:
        if self._hand_over is None:
            raise ToolError("nobody takes the call over here")
        try:
            return await self._hand_over(handoff)
        except FishjamAgentsError as error:
            self._context.emit(events.ErrorRaised(self._context.now(), str(error), "handoff"))
            raise ToolError(str(error)) from error

    def _add(self, label: str, offered: Sequence[Tool], tools: dict[str, Tool]) -> None:
        for tool in offered:
            if tool.name in tools:
                message = (
                    f"the tool {tool.name} of MCP server {label} is left out: one has that name, set a prefix"
                )
                self._missing(message)
            else:
                tools[tool.name] = tool

    def _missing(self, message: str) -> None:
        self._context.emit(events.ErrorRaised(self._context.now(), message, "mcp"))

    def handle(self, event: port.ToolCall | port.ToolCallCancelled) -> None:
        """Take an event of the backend. Returns at once."""
        if isinstance(event, port.ToolCallCancelled):
            self._runner.cancel(event.call, lost=event.lost)
        elif self._is_offered:
            self._runner.call(event)
        else:
            # A service that runs its tools itself only tells of them.
            self._context.emit(events.ToolCalled(self._context.now(), event.name, event.call, "elsewhere"))

    async def close(self) -> None:
        """Cancel what runs."""
        await self._runner.close()
        await self._mcp.close()

    async def run_again(self, line: ToolLine) -> str | None:
        """Run a tool again whose process was lost while it ran, if that may be.

        Returns:
            Its answer. None of a tool that is not idempotent, or not there any more: a call that asks for the
            same is told once that nobody knows what came of it.
        """
        call = port.ToolCall(f"again-{line.call}", line.name, line.arguments)
        tool = self._runner.tools.get(line.name)
        if tool is None or not tool.idempotent:
            self._runner.unknown.append(call)
            return None
        self._again[call.call] = line.call
        return await self._runner.run_again(call)

    async def _intended(self) -> None:
        assert self._journal is not None
        if not await self._journal.written():
            message = (
                "the journal takes too long, or is away: should this process be lost, a tool may be run twice"
            )
            self._context.emit(events.ErrorRaised(self._context.now(), message, "journal"))

    def _make_context(self, call: port.ToolCall, tool: Tool, report: Callable[[str], None]) -> ToolContext:
        peer = self._caller(call.call) if call.peer is None else call.peer
        return ToolContext(call.call, tool.name, self._bot, peer, report)

    def _started(self, call: port.ToolCall) -> None:
        arguments = self._payloads.text(call.arguments)
        self._context.emit(events.ToolStarted(self._context.now(), call.name, call.call, arguments))
        again = self._again.get(call.call, "")
        self._write(lambda now: ToolIntended(now, call.call, call.name, call.arguments, again))

    def _told(self, name: str, call: str, outcome: Outcome, seconds: float, text: str) -> None:
        result = self._payloads.text(text) if text else None
        now = self._context.now()
        self._context.emit(events.ToolCalled(now, name, call, outcome, round(seconds, 3), result))
        self._write(lambda at: ToolEnded(at, call, outcome, text))

    def _write(self, entry: Callable[[float], JournalEntry]) -> None:
        for taker in (self._journal, self._record):
            if taker is not None:
                taker.put(entry(taker.now()))

    def _failed(self, name: str, error: Exception) -> None:
        # What a tool raises may hold what a caller said, or a key: the whole of it at debug level only.
        kind = type(error).__name__
        extra = {"call": self._context.id}
        if isinstance(error, UnspeakableError):
            advice = "return text, numbers, lists, mappings, dataclasses or models"
            logger.warning("The tool %s gave no answer (%s): %s", name, error, advice, extra=extra)
        else:
            at = raised_at(error)
            logger.warning("The tool %s failed (%s, raised at %s): %s", name, kind, at, SEE, extra=extra)
        logger.debug("The tool %s failed", name, exc_info=error, extra=extra)
        self._context.start_hook("on_error", error)

    def _note(self, call: port.ToolCall, text: str) -> None:
        if self._context.capabilities.text:
            # Whoever's session called is gone with them.
            with contextlib.suppress(BackendError):
                self._send_text(port.TextInput(text, note=True), self._caller(call.call))

    def _warn(self, message: str) -> None:
        self._context.emit(events.BackendWarning(message, at=self._context.now()))
