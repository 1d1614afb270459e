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

from .rate_limited_log import RateLimitedLog

MAX_CONNECTIONS = 4096
"""Connections open at once, HTTP and WebSockets together. Our choice."""

_DESCRIPTORS_SHARE = 0.75
"""Of the file descriptors of the process, what connections may take: files and webhooks need some, too."""

_PAUSE_SECONDS = 0.1
"""Seconds a full server waits before it looks again."""

_RETRY_SECONDS = 1.0
"""Seconds it waits when the system has no descriptor or memory for a connection."""

_log = logging.getLogger(__name__)


class Listener:
    """Accepts connections in a task of its own.

    Args:
        listening: A bound socket that listens and does not block.
        make: Makes the protocol of a connection.
        connections: Those that are open: the protocols enter and leave by themselves.
        limit: How many of them there may be; None is `connection_limit`.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        connections: Sized,
        limit: int | None = None,
    ) -> None:
        self._socket = listening
        self._make = make
        self._connections = connections
        self._limit = connection_limit() if limit is None else limit
        self._warning = RateLimitedLog(_log)
        self._task = asyncio.create_task(self._accept(), name="embedded server: accept")

    async def stop(self) -> None:
        """Accept no more; open connections stay."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if len(self._connections) >= self._limit:
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
            try:
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.connect_accepted_socket(self._make, connection)
            except Exception:  # noqa: BLE001 - whatever it is, the next client is served
                connection.close()
                _log.exception("a connection could not be set up")


def connection_limit() -> int:
    """`MAX_CONNECTIONS`, or less where the process may not have as many file descriptors."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(MAX_CONNECTIONS, int(soft * _DESCRIPTORS_SHARE)), 1)
