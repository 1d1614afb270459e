"""An MCP server over HTTP that keeps sessions, as most do, and behaves as it is told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

STOCK = {"name": "stock", "description": "The stock.", "inputSchema": {"type": "object"}}


@dataclass
class Remote:
    """What the server does, and what it was asked.

    Attributes:
        tools: What `tools/list` tells.
        content: What every tool answers.
        gone: How it refuses a session it does not know: a status and a body.
        redirect: Status of the redirect from `/moved`.
        target: Where that leads to; by default to `/mcp`.
        sessions: Those it knows; a restart forgets them.
        called: Names of the tools that ran.
        headers: Of each request.
    """

    tools: Sequence[dict[str, Any]] = (STOCK,)
    content: Sequence[dict[str, Any]] = ({"type": "text", "text": "three"},)
    gone: tuple[int, str] = (404, "session not found")
    redirect: int = 307
    target: str | None = None
    sessions: set[str] = field(default_factory=set)
    called: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _numbers: Any = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def answer(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        if request.method != "POST":
            return Response(status_code=405)
        message = await request.json()
        method, id = message.get("method"), message.get("id")
        if id is None:
            return Response(status_code=202)
        session = request.headers.get("mcp-session-id")
        if method == "initialize":
            session = f"session-{next(self._numbers)}"
            self.sessions.add(session)
            result: dict[str, Any] = {
                "protocolVersion": "2025-03-26",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "remote", "version": "1"},
            }
            return _result(id, result, {"Mcp-Session-Id": session})
        if method in ("tools/list", "tools/call") and session not in self.sessions:
            status, body = self.gone
            kind = "application/json" if body.startswith("{") else "text/plain"
            return Response(body, status, media_type=kind)
        if method == "tools/list":
            return _result(id, {"tools": list(self.tools)})
        if method == "tools/call":
            self.called.append(message["params"]["name"])
            return _result(id, {"content": list(self.content)})
        error = {"code": -32601, "message": "Method not found"}
        return JSONResponse({"jsonrpc": "2.0", "id": id, "error": error})

    async def moved(self, request: Request) -> Response:
        return RedirectResponse(self.target or "/mcp", self.redirect)


def _result(id: Any, result: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"jsonrpc": "2.0", "id": id, "result": result})
    return Response(body, media_type="application/json", headers=headers)


@asynccontextmanager
async def serving(remote: Remote) -> AsyncIterator[Remote]:
    """Serve it on a port of this machine."""
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(
        routes=[
            Route("/mcp", remote.answer, methods=methods),
            Route("/moved", remote.moved, methods=methods),
        ]
    )
    web = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    task = asyncio.create_task(web.serve())
    while not web.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    remote.port = web.servers[0].sockets[0].getsockname()[1]
    try:
        yield remote
    finally:
        web.should_exit = True
        await task
