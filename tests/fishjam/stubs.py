"""Small real servers that say what a test wants them to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve

from fishjam_agents.fishjam import Agent, AgentSession, Backoff
from fishjam_agents.protocol import AuthRequest, decode_agent_request, encode_authenticated

Script = Callable[[ServerConnection], Awaitable[None]]

QUICK = Backoff(first=0.02, longest=0.05)
"""The waits between attempts of a test."""


@asynccontextmanager
async def websocket_server(script: Script) -> AsyncIterator[str]:
    """Runs `script` for every connection; gives the base URL."""
    async with serve(script, "127.0.0.1", 0, compression=None, max_size=None) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def agent_session(script: Script) -> AsyncIterator[AgentSession]:
    """An agent's session with a server that takes any token and then follows `script`."""

    async def admit(socket: ServerConnection) -> None:
        request = decode_agent_request(await socket.recv(decode=False))
        assert request == AuthRequest("token")
        await socket.send(encode_authenticated())
        await script(socket)

    async with (
        asyncio.timeout(10),
        websocket_server(admit) as url,
        Agent("agent", "room", "token", url).connect() as session,
    ):
        yield session


async def stay(socket: ServerConnection) -> None:
    await socket.wait_closed()


Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]] | None
Respond = Callable[[str, str, dict[str, str], bytes], Answer]


@asynccontextmanager
async def http_server(respond: Respond) -> AsyncIterator[str]:
    """Answers each request with `respond(method, path, headers, body)`; gives the base URL.

    The answer is a status, a body, and perhaps headers; for None the connection breaks.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        answer = respond(method, path, headers, body)
        if answer is None:
            writer.transport.abort()
            return
        status, content, *more = answer
        # Closed afterwards, so that no connection outlives its test.
        fields = {"connection": "close", "content-length": str(len(content)), **(more[0] if more else {})}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "\r\n"]).encode() + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with asyncio.timeout(10), server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
