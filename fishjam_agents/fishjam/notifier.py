"""Notifications of a Fishjam server: what happens in all of its rooms, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import betterproto
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..errors import ProtocolError
from ..protocol import decode, encode
from ..protocol.generated.notifications import (
    EventType,
    ServerMessage,
    ServerMessageAuthRequest,
    ServerMessageNotificationBatch,
    ServerMessageSubscribeRequest,
)
from .addressing import SERVER_SOCKET, base_url, socket_url
from .errors import NotifierAuthError
from .sockets import binary, end_of_session, handshake, open_socket

_WHAT = "notification socket"
_HANDSHAKE_MESSAGES = frozenset({"authenticated", "auth_request", "subscribe_request", "subscribe_response"})


class FishjamNotifier:
    """Receives a server's notifications. An async context manager: entering connects and subscribes.

        async with FishjamNotifier(fishjam_id, management_token) as notifier:
            async for event in notifier.events():
                ...

    Nothing is replayed: what happens while no notifier is connected is not told. After a loss, make a new
    one and look at the rooms over REST.
    """

    def __init__(self, fishjam_id: str, management_token: str) -> None:
        """Does not contact the server yet.

        Args:
            fishjam_id: The ID of an app in Fishjam's cloud, or the URL of a server.
            management_token: The app's management token.

        Raises:
            ConfigError: The ID cannot be used as written.
        """
        self._url = socket_url(base_url(fishjam_id), SERVER_SOCKET)
        self._management_token = management_token
        self._resources = AsyncExitStack()
        self._socket: ClientConnection | None = None

    def __repr__(self) -> str:
        return f"FishjamNotifier({self._url!r})"

    async def __aenter__(self) -> Self:
        """Connect, authenticate and subscribe.

        Raises:
            UnreachableError: The server cannot be reached within 10 s.
            NotifierAuthError: It does not take the management token.
            SessionLostError: It broke off, or did not answer within 10 s.
            ProtocolError: What it answered is not Fishjam's protocol.
        """
        async with AsyncExitStack() as resources:
            socket = await resources.enter_async_context(open_socket(self._url))
            auth = ServerMessage(auth_request=ServerMessageAuthRequest(self._management_token))
            await self._ask(socket, auth, "authenticated")
            subscription = ServerMessageSubscribeRequest(EventType(EventType.SERVER_NOTIFICATION))
            await self._ask(socket, ServerMessage(subscribe_request=subscription), "subscribe_response")
            self._resources = resources.pop_all()
        self._socket = socket
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket = None
        await self._resources.aclose()

    async def _ask(self, socket: ClientConnection, message: ServerMessage, expected: str) -> None:
        try:
            answer = await handshake(socket, _WHAT, encode(message))
        except ConnectionClosed as error:
            raise NotifierAuthError(error.rcvd.reason if error.rcvd else "") from error
        name, _ = betterproto.which_one_of(decode(ServerMessage, answer), "content")
        if name != expected:
            raise ProtocolError(
                f"{self._url} answered {name or 'nothing known'}, not {expected}: is it a Fishjam server?"
            )

    async def events(self) -> AsyncIterator[betterproto.Message]:
        """Yield notifications: the `ServerMessage...` classes of `protocol.generated.notifications`.

        Order holds within a room. Kinds this version does not know are skipped, batches are unpacked.

        Raises:
            SessionClosedError: The server ended the connection.
            SessionLostError: The connection broke.
            ProtocolError: The server sent something that is no notification.
        """
        if self._socket is None:
            raise RuntimeError("the notifier is not connected: use `async with`")
        while True:
            try:
                data = binary(await self._socket.recv())
            except ConnectionClosed as error:
                raise end_of_session(_WHAT, error.rcvd, error.sent) from error
            for event in _unpack(decode(ServerMessage, data)):
                yield event


def _unpack(message: ServerMessage) -> list[betterproto.Message]:
    name, content = betterproto.which_one_of(message, "content")
    if isinstance(content, ServerMessageNotificationBatch):
        return [event for member in content.notifications for event in _unpack(member)]
    if content is None or name in _HANDSHAKE_MESSAGES:
        return []
    return [content]
