"""MCP servers of one call: each is connected once, for all bots of the call that bring it along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fishjam_agents.tools.mcp import McpConnection, McpError
from fishjam_agents.tools.mcp_server import McpServer
from fishjam_agents.tools.tool import Tool


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    server: McpServer
    connection: McpConnection
    tools: asyncio.Task[Sequence[Tool]]


class CallMcpServers:
    """Connections of one call to MCP servers, kept until it ends.

    Args:
        failed: Told of a server that cannot be used, in one sentence; the call goes on without its tools.
    """

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._opened: list[_Opened] = []
        self._closed = False

    async def connect(self, servers: Sequence[McpServer]) -> None:
        """Connect servers, but for those that are; return once all of them have told their tools, or failed.

        Who asks for one that is being connected waits for it. One that failed is not asked again.
        """
        if self._closed:
            return
        waiting = {self._open(server).tools for server in servers}
        if waiting:
            # A handoff that is given up meanwhile takes the server away from no other one.
            await asyncio.wait(waiting)
        for task in waiting:
            if not task.cancelled():
                task.result()

    def offered(self, servers: Sequence[McpServer]) -> Iterator[tuple[McpServer, Sequence[Tool]]]:
        """Tools of those servers that are connected, in the order in which these were."""
        for opened in self._opened:
            task = opened.tools
            if opened.server in servers and task.done() and not task.cancelled() and not task.exception():
                yield opened.server, task.result()

    async def close(self) -> None:
        """Leave all servers."""
        self._closed = True
        for opened in self._opened:
            opened.tools.cancel()
        await asyncio.gather(*(opened.tools for opened in self._opened), return_exceptions=True)
        await asyncio.gather(*(opened.connection.close() for opened in self._opened))

    def _open(self, server: McpServer) -> _Opened:
        for opened in self._opened:
            if opened.server == server:
                return opened
        connection = McpConnection(server)
        task = asyncio.get_running_loop().create_task(
            self._tools(connection), name=f"connect mcp {server.label}"
        )
        self._opened.append(_Opened(server, connection, task))
        return self._opened[-1]

    async def _tools(self, connection: McpConnection) -> Sequence[Tool]:
        try:
            return await connection.open()
        except McpError as error:
            self._failed(str(error))
            return ()
