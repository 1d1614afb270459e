"""The server socket, `/socket/server/websocket`: notifications for a backend.

Source: Fishjam protos, `server_notifications.proto`; the handshake: Fishjam's Python server SDK.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import betterproto

from ...errors import ProtocolError
from ...protocol import decode, encode
from ...protocol.generated import notifications as schema
from ..notifications import Notifications
from .authenticated import AuthenticatedSocket
from .websocket import Connection

_FIELDS = 64
"""Most fields of a client's message. It has two today; the rest is for fields of versions to come."""


class ServerSocket(AuthenticatedSocket):
    """One backend's connection: silent until it subscribes, then told of every room.

    Args:
        token: The management token.
        notifications: What it is told.
    """

    def __init__(self, token: str, notifications: Notifications) -> None:
        super().__init__()
        self._token = token
        self._notifications = notifications
        self._unsubscribe: Callable[[], None] | None = None

    def closed(self) -> None:
        """Part of `websocket.Endpoint`."""
        super().closed()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def authenticate(self, connection: Connection, message: bytes) -> bool:
        """Admit whoever knows the management token."""
        request = _read(message)
        if not isinstance(request, schema.ServerMessageAuthRequest):
            connection.close(1000, "invalid auth request")
            return False
        if not hmac.compare_digest(request.token.encode(), self._token.encode()):
            connection.close(1000, "invalid token")
            return False
        authenticated = schema.ServerMessage(authenticated=schema.ServerMessageAuthenticated())
        connection.send(encode(authenticated))
        return True

    def handle(self, message: bytes) -> None:
        """Take a subscription; nothing else may be said here."""
        request = _read(message)
        wanted = schema.EventType.SERVER_NOTIFICATION
        connection = self.connection
        if (
            connection is None
            or not isinstance(request, schema.ServerMessageSubscribeRequest)
            or request.event_type != wanted
        ):
            self.detach(1003, "operation not allowed")
            return
        # Clients take the very next message for the answer, so it precedes every notification.
        response = schema.ServerMessageSubscribeResponse(event_type=wanted)
        connection.send(encode(schema.ServerMessage(subscribe_response=response)))
        if self._unsubscribe is None:
            self._unsubscribe = self._notifications.subscribe(lambda _, data: connection.send(data))


def _read(message: bytes) -> object:
    try:
        return betterproto.which_one_of(decode(schema.ServerMessage, message, max_fields=_FIELDS), "content")[
            1
        ]
    except ProtocolError:
        return None
