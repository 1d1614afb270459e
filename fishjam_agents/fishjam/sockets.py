"""One way to open a WebSocket to Fishjam, and one way to say how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.frames import Close, CloseCode

from ..cut_handshake import is_cut_handshake
from ..errors import ProtocolError, SessionError
from ..loopback import is_loopback_url
from ..secrecy import shown_url
from .dial import DirectDial
from .direct import DirectConnection
from .errors import SessionClosedError, SessionLostError, UnreachableError

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest message taken; stills of video tracks are far beyond the library's 1 MiB default."""

CONNECT_TIMEOUT = 10.0
"""Seconds for connection, TLS and HTTP upgrade together."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the server to answer an authentication or a subscription."""

PING_INTERVAL = 10.0
"""Seconds between pings, and the patience for each answer: a dead connection shows within 20 s."""

CLOSE_TIMEOUT = 2.0
"""Seconds the server has to answer our goodbye."""

_BREAKDOWNS = frozenset(
    {
        CloseCode.GOING_AWAY,
        CloseCode.NO_STATUS_RCVD,
        CloseCode.ABNORMAL_CLOSURE,
        CloseCode.INTERNAL_ERROR,
        CloseCode.SERVICE_RESTART,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.BAD_GATEWAY,
    }
)
"""Codes with which a server breaks off rather than refuses (RFC 6455 section 7.4.1, IANA registry). A close
frame without a code (1005) says nothing of a token: proxies send it when they are restarted."""


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[DirectConnection]:
    """Connect to one of Fishjam's sockets; leaving the context closes it.

    Raises:
        UnreachableError: No connection within `CONNECT_TIMEOUT`, or no WebSocket at that address.
    """
    try:
        socket = await DirectDial(
            url,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=CONNECT_TIMEOUT,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_INTERVAL,
            close_timeout=CLOSE_TIMEOUT,
            proxy=None if is_loopback_url(url) else True,
            create_connection=DirectConnection,
        )
    except (OSError, TimeoutError) as error:
        raise _unreachable(url, _why(error)) from error
    except (InvalidHandshake, InvalidURI, ValueError, OverflowError) as error:
        if is_cut_handshake(error):
            raise _unreachable(url, "the connection was cut before its answer") from error
        # Host names that cannot be one (`UnicodeError`) and ports beyond 65535 show only here. What the
        # library says of an address repeats it, with its password.
        why = type(error).__name__ if isinstance(error, (InvalidURI, ValueError)) else error
        raise UnreachableError(
            f"no Fishjam socket at {shown_url(url)} ({why}): check the Fishjam ID or URL"
        ) from error
    assert isinstance(socket, DirectConnection)
    async with socket:
        yield socket


def _unreachable(url: str, why: str) -> UnreachableError:
    return UnreachableError(f"cannot reach {shown_url(url)}: is the server running? ({why})")


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT:.0f} s"
    return error.strerror or str(error) or type(error).__name__


def end_of_session(what: str, received: Close | None, sent: Close | None) -> SessionError:
    """Say how a socket ended.

    Args:
        what: Names the socket: "agent session", "notification socket".
        received: The close frame of the server, if there was one.
        sent: Ours, if there was one.

    Returns:
        `SessionClosedError` for a goodbye (1000), `SessionLostError` for everything else.
    """
    if received is None and sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
        return SessionLostError(
            f"the {what} received a message over {MAX_MESSAGE_BYTES >> 20} MiB and was closed: "
            "see what the server sends there",
            sent.code,
        )
    if received is None:
        received = Close(CloseCode.ABNORMAL_CLOSURE, "")
    if received.code == CloseCode.NORMAL_CLOSURE:
        return SessionClosedError(
            f"the server ended the {what} ({received.reason or 'no reason given'}): "
            "the peer or its room was removed",
            received.reason,
        )
    said = f"code {received.code}, {received.reason}" if received.reason else f"code {received.code}"
    return SessionLostError(f"the {what} was lost ({said}): is the server still running?", received.code)


def binary(message: str | bytes) -> bytes:
    """The message, if it came in a binary frame as every message of Fishjam does.

    Raises:
        ProtocolError: It came in a text frame.
    """
    if isinstance(message, str):
        raise ProtocolError("the server sent a text frame: is it a Fishjam server?")
    return message


async def handshake(socket: ClientConnection, what: str, request: bytes) -> bytes:
    """Send a request and wait for the answer to it, the next message.

    Raises:
        ConnectionClosed: The server closed the socket with a refusal.
        SessionLostError: The server broke off, or did not answer within `HANDSHAKE_TIMEOUT`.
        ProtocolError: It answered with a text frame.
    """
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            await socket.send(request)
            return binary(await socket.recv())
    except TimeoutError as error:
        raise SessionLostError(
            f"the {what} got no answer within {HANDSHAKE_TIMEOUT:.0f} s: is it a Fishjam server?",
            CloseCode.ABNORMAL_CLOSURE,
        ) from error
    except ConnectionClosed as error:
        if error.rcvd is None or error.rcvd.code in _BREAKDOWNS:
            raise end_of_session(what, error.rcvd, error.sent) from error
        raise
