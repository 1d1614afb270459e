"""A connection to an MCP server, by the official package `mcp`, and its tools."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.schema import plain_schema
from fishjam_agents.tools.threads import in_thread
from fishjam_agents.tools.tool import Tool

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as RemoteTool

logger = logging.getLogger(__name__)

_PAGES = 20
"""Pages of tools that are read at most: a server may number them without end."""
_LONGEST_NAME = 64
_BACKOFF = Backoff(first=1.0, longest=30.0)
"""Waits between attempts."""
_CLOSE_DEADLINE = 6.0
"""Seconds for leaving a server: the package gives a program 2 s to end by itself and 2 s to be terminated."""


_CURRENT: ContextVar[McpConnection | None] = ContextVar("mcp_connection", default=None)
"""Connection whose tasks these are."""


class McpError(FishjamAgentsError):
    """An MCP server cannot be used."""


class McpConnection:
    """One server, for one call. Its task owns the connection, and makes it anew when it was lost.

    Args:
        server: The server.
    """

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tools: Sequence[RemoteTool] = ()
        self._babbled = False

    async def open(self) -> list[Tool]:
        """Connect; the tools it offers.

        Raises:
            McpError: It cannot be reached, or did not tell in time; in one sentence.
        """
        server = self.server
        self._task = asyncio.create_task(self._run(), name=f"mcp {server.label}")
        try:
            async with asyncio.timeout(server.connect_timeout):
                await asyncio.shield(self._client)
        except TimeoutError as error:
            raise McpError(
                f"the MCP server {server.label} told no tools within {server.connect_timeout:g} s: "
                "the call goes on without them"
            ) from error
        names = {remote.name for remote in self._tools}
        unknown = [name for name in server.only or () if name not in names]
        if unknown:
            raise McpError(
                f"the MCP server {server.label} has no tool {unknown[0]}: "
                f"it has {', '.join(sorted(names)) or 'none'}"
            )
        wanted = [remote for remote in self._tools if server.only is None or remote.name in server.only]
        tools: dict[str, Tool] = {}
        for remote in wanted:
            name = _name(f"{server.prefix}{remote.name}", tools)
            tool = self._tool(remote, name)
            if tool is not None:
                tools[name] = tool
        return list(tools.values())

    async def close(self) -> None:
        """Leave the server."""
        if self._task is None:
            return
        self._task.cancel()
        _, late = await asyncio.wait({self._task}, timeout=_CLOSE_DEADLINE)
        if late:
            logger.warning("The MCP server %s does not end", self.server.label)
        if not self._client.done():
            self._client.cancel()
        elif not self._client.cancelled():
            self._client.exception()

    def babbles(self) -> None:
        """The program has written something else than messages to its standard output."""
        if not self._babbled:
            self._babbled = True
            logger.warning(
                "The MCP server %s writes other things than messages to its standard output: "
                "have it print to its standard error",
                self.server.label,
            )

    async def _run(self) -> None:
        _CURRENT.set(self)
        first = True
        failures = 0
        while True:
            try:
                async with self._connect() as client:
                    if first:
                        self._tools = await _all_tools(client)
                        first = False
                    self._lost.clear()
                    self._client.set_result(client)
                    failures = 0
                    await self._lost.wait()
                # Whoever found it lost waits for the next one.
                continue
            except Exception as error:
                # Of a server that is not there, the package raises what its transports do, groups included.
                problem = McpError(
                    f"the MCP server {self.server.label} cannot be used ({self._told(error)}): "
                    "check its settings and whether it runs"
                )
                logger.debug("The MCP server %s:", self.server.label, exc_info=error)
                if first:
                    if not self._client.done():
                        self._client.set_exception(problem)
                    return
                if self._client.done():
                    self._client = asyncio.get_running_loop().create_future()
            failures += 1
            await asyncio.sleep(_BACKOFF.delay(failures))

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Client]:
        # It takes a second to load, in which other calls of this process go on.
        await in_thread(import_module, name="mcp")
        from mcp import Client
        from mcp.client.stdio import StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        server = self.server
        async with AsyncExitStack() as stack:
            if server.url is not None:
                http = create_mcp_http_client(headers=dict(server.headers))
                if server.is_local:
                    # A proxy of the environment would be asked for this machine's own servers, too.
                    await http.aclose()
                    http = type(http)(headers=dict(server.headers), timeout=http.timeout, trust_env=False)
                http.event_hooks = {"response": [_keep_method]}
                await stack.enter_async_context(http)
                transport = streamable_http_client(server.url, http_client=http)
            else:
                parameters = StdioServerParameters(
                    command=server.program, args=list(server.args), env=dict(server.env), cwd=server.cwd
                )
                logging.getLogger(stdio_client.__module__).addFilter(_told_once)
                # What a program says on its standard error is its own log.
                transport = stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr)
            yield await stack.enter_async_context(Client(transport))

    def _tool(self, remote: RemoteTool, name: str) -> Tool | None:
        server = self.server
        try:
            schema = plain_schema(remote.input_schema)
        except ValueError as error:
            logger.warning("The tool %s of MCP server %s is left out: %s", remote.name, server.label, error)
            return None
        description = remote.description or remote.title or remote.name
        declaration = ToolDeclaration(name, description, schema, server.blocking, server.cancellable)

        async def invoke(arguments: Mapping[str, Any], context: ToolContext) -> str:
            return await self._call(remote.name, arguments, context)

        return Tool(declaration, invoke, server.timeout, server.max_result)

    async def _call(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> str:
        async def report(progress: float, total: float | None, message: str | None) -> None:
            if message:
                context.progress(message)

        for again in (False, True):
            # A connection that was lost is being made anew: the runner's deadline bounds the wait.
            client = await asyncio.shield(self._client)
            try:
                result = await client.call_tool(name, dict(arguments), progress_callback=report)
                break
            except Exception as error:
                # As above; whatever it is, the model is told that the tool failed.
                gone = _is_session_lost(error)
                if gone or not _is_answer(error):
                    self._lose(client)
                logger.debug("The MCP server %s:", self.server.label, exc_info=error)
                # A server that was restarted has refused the call, and not run it.
                if not gone or again:
                    told = f"the server {self.server.label} failed ({self._told(error)})"
                    raise ToolError(told) from error
        text = _text(result)
        if result.is_error:
            raise ToolError(text or "it failed and did not say why")
        return text or "done"

    def _lose(self, client: Client) -> None:
        """A client is of no use any more: who calls from now on waits for the next one."""
        if self._client.done() and self._client.result() is client:
            self._client = asyncio.get_running_loop().create_future()
            self._lost.set()

    def _told(self, error: BaseException) -> str:
        """The first cause of an error in a line, without secrets."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        lines = str(error).splitlines() or [type(error).__name__]
        return self.server.hide(lines[0])


def _told_once(record: logging.LogRecord) -> bool:
    """Keep the package from a traceback for each line of a program that prints, with what it printed."""
    connection = _CURRENT.get()
    if connection is None or record.exc_info is None or not isinstance(record.exc_info[1], ValueError):
        return True
    connection.babbles()
    return False


async def _all_tools(client: Client) -> list[RemoteTool]:
    tools: list[RemoteTool] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools


def _is_answer(error: Exception) -> bool:
    """Return whether the server said no itself, and is still there."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    return isinstance(error, MCPError) and error.error.code != CONNECTION_CLOSED


_LOST = re.compile(
    r"session\b.*\b(?:not found|terminated|expired|invalid|unknown|missing|does not exist|no longer)"
    r"|(?:no valid|invalid|unknown|expired|missing) session|no (?:such )?session",
    re.IGNORECASE,
)
_INVALID_REQUEST, _SERVER_ERRORS = -32600, range(-32099, -31999)


def _is_session_lost(error: Exception) -> bool:
    """Return whether the server does not know the session: it was restarted, or has forgotten it.

    The protocol's answer is 404 (modelcontextprotocol.io, transports, session management); with it, or with
    400, servers send an error of their own.
    """
    from mcp.shared.exceptions import MCPError

    if not isinstance(error, MCPError):
        return False
    code = error.error.code
    return (code == _INVALID_REQUEST or code in _SERVER_ERRORS) and bool(_LOST.search(error.error.message))


async def _keep_method(response: Any) -> None:
    """Follow a redirect of a message with the message: 301 and 302 would make a GET of it.

    The package follows only what stays with the server, so that no header goes elsewhere.
    """
    if response.status_code in (301, 302) and response.request.method == "POST":
        response.status_code = 308


def _name(name: str, taken: Container[str]) -> str:
    """A name that every vendor takes, and no other tool has: 64 letters, digits, `_`, `-`; a letter first."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not name[:1].isalpha() and not name.startswith("_"):
        name = f"_{name}"
    name = name[:_LONGEST_NAME]
    number, unique = 1, name
    while unique in taken:
        number += 1
        ending = f"_{number}"
        unique = name[: _LONGEST_NAME - len(ending)] + ending
    return unique


def _text(result: CallToolResult) -> str:
    """Return the words of a result; pictures and other things are only named."""
    parts = [text for block in result.content if (text := getattr(block, "text", f"[{block.type}]"))]
    if not parts and result.structured_content is not None:
        import pydantic_core

        return pydantic_core.to_json(result.structured_content).decode()
    return "\n".join(parts)
