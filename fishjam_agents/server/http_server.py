"""uvicorn without what belongs to the program: its signal handlers, its log, accepting without end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from .listener import Listener
from .rest.http import HttpConnection

_GRACE_SECONDS = 1
"""Seconds that requests under way have before uvicorn cancels them."""


class HttpServer:
    """Serves an application on a socket that listens already.

    Args:
        app: The application.
        listening: The socket, which is the server's from now on.
        websocket: Makes the protocol of a WebSocket, from the connections that are open; None refuses them.
        tls: Speaks TLS with clients that begin with it; None takes plain connections alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        *,
        websocket: Callable[[set[Any]], asyncio.Protocol] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = listening
        self._tls = tls
        self._listener: Listener | None = None

        def upgraded(*, server_state: Any, **_: Any) -> asyncio.Protocol:
            assert websocket is not None
            return websocket(server_state.connections)

        self._config = uvicorn.Config(
            app,
            http=HttpConnection,
            # uvicorn calls its WebSocket protocol class with keywords and expects nothing but a protocol.
            ws="none" if websocket is None else upgraded,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(self._config)

    async def start(self) -> None:
        """Take connections."""
        config, server = self._config, self._server
        config.load()
        server.lifespan = config.lifespan_class(config)
        # Not `serve`: it takes over SIGINT and SIGTERM, which belong to the program.
        # No sockets: it would take connections without end.
        await server.startup(sockets=[])
        state = server.server_state
        self._listener = Listener(
            self._socket,
            lambda: HttpConnection(config=config, server_state=state, app_state=server.lifespan.state),
            state.connections,
            tls=self._tls,
        )

    async def stop(self, seconds: float) -> None:
        """Take no more connections, and close those that are open.

        Args:
            seconds: Time that answers under way have.
        """
        if self._listener is not None:
            await self._listener.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._server.shutdown(sockets=[self._socket])
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()
        # One turn of the loop, in which aborted transports report their end.
        await asyncio.sleep(0)
