"""The server socket, `/socket/server/websocket`: its handshake and its notifications.

Source: Fishjam protos, `server_notifications.proto`; the handshake: Fishjam's Python server SDK.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import betterproto
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..errors import ProtocolError
from ..protocol import decode, encode
from ..protocol.generated.notifications import (
    EventType,
    ServerMessage,
    ServerMessageAuthRequest,
    ServerMessageSubscribeRequest,
)
from ..secrecy import shown_url
from .errors import NotifierAuthError, StaleSdkError
from .events.allowed_notifications import AllowedNotification, notifications_of
from .sockets import binary, end_of_session, handshake, open_socket

_WHAT = "notification socket"
_log = logging.getLogger(__name__)


@asynccontextmanager
async def subscribed(
    url: str, management_token: str, *, strict: bool = True
) -> AsyncIterator[AsyncIterator[AllowedNotification]]:
    """Connect, authenticate and subscribe; gives the notifications. Leaving the context closes the socket.

    Args:
        url: The server socket.
        management_token: The app's management token.
        strict: Whether a notification that this version cannot read ends the iteration (`StaleSdkError`).

    Raises:
        UnreachableError: The server cannot be reached within 10 s.
        NotifierAuthError: It does not take the management token.
        SessionLostError: It broke off, or did not answer within 10 s.
        ProtocolError: What it answered is not Fishjam's protocol.
    """
    async with open_socket(url) as socket:
        auth = ServerMessage(auth_request=ServerMessageAuthRequest(management_token))
        await _ask(socket, url, auth, "authenticated")
        subscription = ServerMessageSubscribeRequest(EventType(EventType.SERVER_NOTIFICATION))
        await _ask(socket, url, ServerMessage(subscribe_request=subscription), "subscribe_response")
        yield _notifications(socket, strict)


async def _ask(socket: ClientConnection, url: str, message: ServerMessage, expected: str) -> None:
    try:
        answer = await handshake(socket, _WHAT, encode(message))
    except ConnectionClosed as error:
        raise NotifierAuthError(error.rcvd.reason if error.rcvd else "") from error
    name, _ = betterproto.which_one_of(decode(ServerMessage, answer), "content")
    if name != expected:
        raise ProtocolError(
            f"{shown_url(url)} answered {name or 'nothing known'}, not {expected}: is it a Fishjam server?"
        )


async def _notifications(socket: ClientConnection, strict: bool) -> AsyncIterator[AllowedNotification]:
    while True:
        try:
            data = binary(await socket.recv())
        except ConnectionClosed as error:
            raise end_of_session(_WHAT, error.rcvd, error.sent) from error
        try:
            events = notifications_of(decode(ServerMessage, data))
        except StaleSdkError as error:
            if strict:
                raise
            _log.warning("a notification was left out: %s", error)
            continue
        for event in events:
            yield event
