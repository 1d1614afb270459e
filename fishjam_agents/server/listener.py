"""Taking connections, no more of them than the process can hold.

asyncio's own servers accept until the table of file descriptors is full, and then log one traceback for each
of `backlog` attempts, every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Sized
from functools import partial
from typing import TYPE_CHECKING

from .rate_limited_log import RateLimitedLog

MAX_CONNECTIONS = 4096
"""Connections open at once, HTTP and WebSockets together. Our choice."""

_DESCRIPTORS_SHARE = 0.75
"""Of the file descriptors of the process, what connections may take: files and webhooks need some, too."""

_PAUSE_SECONDS = 0.1
"""Seconds a full server waits before it looks again."""

_RETRY_SECONDS = 1.0
"""Seconds it waits when the system has no descriptor or memory for a connection."""

_ARRIVAL_SECONDS = 10.0
"""Seconds a connection may take to say its first byte, and then to agree on TLS. Our choice."""

_TLS_CLOSE_SECONDS = 1.0
"""Seconds a client may take to end TLS; asyncio's default is 30."""

_TLS_HANDSHAKE = b"\x16"
"""First byte of a TLS connection, a record of type 22 (RFC 8446, section 5.1). No HTTP method begins so."""

_POLL_SECONDS = 0.02
"""Seconds between two looks at a connection where the loop cannot tell that something has arrived."""

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import ssl


class Listener:
    """Accepts connections in a task of its own.

    Args:
        listening: A bound socket that listens and does not block.
        make: Makes the protocol of a connection.
        connections: Those that are open: the protocols enter and leave by themselves.
        limit: How many of them there may be; None is `connection_limit`.
        tls: Speaks TLS with clients that begin with it, on the same port; None takes plain connections alone.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        connections: Sized,
        limit: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = listening
        self._make = make
        self._connections = connections
        self._limit = connection_limit() if limit is None else limit
        self._tls = tls
        self._arriving: set[asyncio.Task[None]] = set()
        self._warning = RateLimitedLog(_log)
        self._task = asyncio.create_task(self._accept(), name="embedded server: accept")

    async def stop(self) -> None:
        """Accept no more; open connections stay."""
        tasks = (self._task, *self._arriving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if len(self._connections) + len(self._arriving) >= self._limit:
                self._warning.warning(
                    "the embedded server is full: %d connections are open, more wait until some are closed",
                    self._limit,
                )
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except ConnectionError:
                # It was gone before it was taken.
                continue
            except OSError as error:
                self._warning.warning(
                    "the embedded server takes no connection (%s): raise the limit of open files (ulimit -n)",
                    error.strerror,
                )
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if self._tls is None:
                await self._set_up(connection, None)
            else:
                # In a task: what a client takes to begin, the next one need not wait for.
                arriving = asyncio.create_task(
                    self._begin(connection, self._tls), name="embedded server: arriving"
                )
                self._arriving.add(arriving)
                arriving.add_done_callback(partial(self._arrived, connection))

    def _arrived(self, connection: socket.socket, arriving: asyncio.Task[None]) -> None:
        self._arriving.discard(arriving)
        if arriving.cancelled():
            # It may not even have begun.
            connection.close()

    async def _begin(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                first = await _first_byte(connection)
        except (OSError, TimeoutError):
            connection.close()
        else:
            await self._set_up(connection, tls if first == _TLS_HANDSHAKE else None)

    async def _set_up(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        seconds = None if tls is None else _ARRIVAL_SECONDS
        closing = None if tls is None else _TLS_CLOSE_SECONDS
        try:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=tls,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=closing,
            )
        except OSError as error:
            # A browser that does not trust the certificate ends the handshake with an alert.
            connection.close()
            _log.debug("a connection was not agreed on: %s", error)
        except Exception:  # noqa: BLE001 - whatever it is, the next client is served
            connection.close()
            _log.exception("a connection could not be set up")


async def _first_byte(connection: socket.socket) -> bytes:
    """The first byte that a client sends, which stays to be read; none if it left."""
    while True:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            return connection.recv(1, socket.MSG_PEEK)
        await _until_readable(connection)


async def _until_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    try:
        loop.add_reader(connection, arrived.set)
    except NotImplementedError:
        # Windows' loop has no readers.
        await asyncio.sleep(_POLL_SECONDS)
        return
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(connection)


def connection_limit() -> int:
    """`MAX_CONNECTIONS`, or less where the process may not have as many file descriptors."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(MAX_CONNECTIONS, int(soft * _DESCRIPTORS_SHARE)), 1)
