"""Common base of the three sockets: the first message authenticates, or the socket closes."""

from __future__ import annotations

import asyncio

from .websocket import Connection

AUTH_SECONDS = 10.0
"""Seconds a socket may stay silent before it has authenticated."""


class AuthenticatedSocket:
    """Base of the endpoints: waits for the first message, within a deadline.

    A subclass answers in `authenticate` with whether the socket is admitted; it closes the connection
    itself when it is not.
    """

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.admitted = False
        self._deadline: asyncio.TimerHandle | None = None

    def opened(self, connection: Connection) -> None:
        """Part of `websocket.Endpoint`."""
        self.connection = connection
        self._deadline = asyncio.get_running_loop().call_later(
            AUTH_SECONDS, connection.close, 1000, "unauthenticated"
        )

    def received(self, message: bytes) -> None:
        """Part of `websocket.Endpoint`."""
        if self.admitted:
            self.handle(message)
        elif (connection := self.connection) is not None and self.authenticate(connection, message):
            self.admitted = True
            connection.admit()
            self._disarm()

    def received_text(self, message: bytes) -> None:
        """Part of `websocket.Endpoint`. Ignored, as Fishjam does."""

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        self.connection = None
        self._disarm()

    def detach(self, code: int, reason: str) -> None:
        """Part of `peer.Attachment`."""
        if self.connection is not None:
            self.connection.close(code, reason)

    def authenticate(self, connection: Connection, message: bytes) -> bool:
        """Judge the first message."""
        raise NotImplementedError

    def handle(self, message: bytes) -> None:
        """Take a message of an admitted client."""
        raise NotImplementedError

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
