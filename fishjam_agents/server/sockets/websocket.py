"""One WebSocket connection, straight on the transport.

uvicorn hands an upgraded connection to this protocol, and the handshake and the frames of RFC 6455 are
those of websockets' sans-I/O `ServerProtocol`. Going through ASGI would cost a queue, a task switch and two
dictionaries per message; here a message is a function call in either direction, and a frame that has many
listeners is built once (`frames.frame`), because a server's frames are not masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol, cast
from urllib.parse import unquote

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from .frames import frame, frame_size
from .throttle import ALLOWANCE_SECONDS, WINDOW_SECONDS, Throttle

_log = logging.getLogger(__name__)
# websockets reports every connection at level INFO.
_log.setLevel(logging.WARNING)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest message taken from a client; a larger one closes its socket with 1009."""

MAX_BYTES_BEFORE_ADMISSION = 16 * 1024
"""Largest message taken from a client that nobody has admitted yet: all it may say is its token."""

MAX_FRAGMENTS = 1024
"""Fragments of one message; no client known cuts messages up, and empty ones would come without end."""

SLICE_BYTES = 512
"""Bytes parsed before the time is looked at, at first: some 80 of the smallest frames."""

SLICE_SECONDS = 0.0005
"""A slice that takes less than this is followed by one twice as large."""

BACKLOG_BYTES = 256 * 1024
"""Bytes that may wait in our process for a client that reads slowly (8 s of one track at 16 kHz)."""

BACKLOG_SECONDS = 5.0
"""A client whose backlog stays over `BACKLOG_BYTES` for so long is closed."""

PING_SECONDS = 30.0
"""Fishjam pings every 30 s (`fishjam-dev/fishjam`); a client that has not answered by the next
ping is gone."""

_PONG = 0x8A
"""First byte of an answer to a ping: the last fragment, opcode 10 (RFC 6455, section 5.2)."""

CLOSE_SECONDS = 1.0
"""Seconds a client may take to answer our close frame, and to read the data sent before it."""


class Endpoint(Protocol):
    """Handler of one connection."""

    def opened(self, connection: Connection) -> None:
        """The handshake is done; `connection` may be written to."""

    def received(self, message: bytes) -> None:
        """A whole binary message arrived."""

    def received_text(self, message: bytes) -> None:
        """A whole text message arrived; nobody has looked whether it is UTF-8."""

    def closed(self) -> None:
        """The connection ended, whoever ended it. Called once; nothing is received after it."""


Router = Callable[[str], Endpoint | None]
"""From the request path, percent-decoded, to the endpoint; None is a 404."""

Refusal = Callable[[Callable[[str], list[str]]], str | None]
"""From the headers of a handshake, each by its name, to the sentence it is refused with; None admits it."""


class Connection(asyncio.Protocol):
    """A WebSocket connection as an asyncio protocol for `uvicorn.Config(ws=...)`.

    Until `admit`, its client may send no more than `MAX_BYTES_BEFORE_ADMISSION` at a time.

    Attributes:
        transport: Its transport, where uvicorn looks for it.
        dropped: Messages, and answers to pings, not sent because the client reads too slowly.
    """

    def __init__(self, router: Router, refusal: Refusal, connections: set[Any], throttle: Throttle) -> None:
        self.dropped = 0
        self._router = router
        self._refusal = refusal
        self._connections = connections
        self._throttle = throttle
        self._websocket = ServerProtocol(max_size=MAX_BYTES_BEFORE_ADMISSION, logger=_log)
        self._admitted = False
        # Received and not parsed: the begun frame of a client not yet admitted, or what the throttle holds.
        self._unparsed = bytearray()
        self._held = False
        self._window = 0.0
        self._spent = 0.0
        self._fragments: list[bytes] = []
        self._fragments_text = False
        self._endpoint: Endpoint | None = None
        self._open = False
        self._over_since: float | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._pinged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by uvicorn with the connection's transport."""
        # Not checked: uvloop's transports are no subclass.
        self.transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        if self._held or self._unparsed:
            self._unparsed += data
            if self._held:
                return
            data, self._unparsed = bytes(self._unparsed), bytearray()
        now = perf_counter()
        if now - self._window >= WINDOW_SECONDS:
            self._window, self._spent = now, 0.0
        self._unparsed += self._take(data, ALLOWANCE_SECONDS - self._spent)
        self._spent += perf_counter() - now
        if self._unparsed and self._spent >= ALLOWANCE_SECONDS and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()
            self._throttle.hold(self)

    def go_on(self, seconds: float) -> bool:
        """Part of `throttle.Held`."""
        data, self._unparsed = bytes(self._unparsed), bytearray()
        if self.transport.is_closing():
            self._held = False
            return False
        began = perf_counter()
        self._unparsed += self._take(data, seconds)
        if self.transport.is_closing():
            self._held = False
        elif not self._unparsed or perf_counter() - began < seconds:
            self._held = False
            self.transport.resume_reading()
        return self._held

    def _take(self, data: bytes, seconds: float) -> bytes:
        """Handle what arrived, for about so long; returns what is left of it."""
        now = perf_counter()
        end = now + seconds
        position, size = 0, SLICE_BYTES
        while position < len(data):
            part = data[position : position + size]
            if self._open and not self._admitted:
                # Frame by frame: what follows the token is read by the rules of whom it admits.
                part = data[position : position + MAX_BYTES_BEFORE_ADMISSION + 14]
                sizes = frame_size(part)
                if sizes is None:
                    break
                if sizes[1] <= MAX_BYTES_BEFORE_ADMISSION:
                    if len(part) < sum(sizes):
                        break
                    part = part[: sum(sizes)]
            position += len(part)
            self._parse(part)
            began, now = now, perf_counter()
            if now >= end:
                break
            size = size * 2 if now - began < SLICE_SECONDS else SLICE_BYTES
        return data[position:]

    def _parse(self, data: bytes) -> None:
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif self._open:
                self._frame_received(event)
        self._write_out()
        if self._websocket.close_expected():
            self._finish()

    def eof_received(self) -> None:
        """Called by the transport; the connection closes."""

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the transport."""
        self._connections.discard(self)
        if self._closing is not None:
            self._closing.cancel()
        self._end()

    def admit(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        """The client has authenticated: take messages of up to `max_bytes` from now on."""
        self._admitted = True
        # websockets 15 calls `max_size` what 16 made two limits of.
        for name in ("max_message_size", "max_size"):
            if hasattr(self._websocket, name):
                setattr(self._websocket, name, max_bytes)

    def send(self, message: bytes) -> None:
        """Send one binary message; dropped and counted when the client reads too slowly."""
        self.send_frames(frame(message))

    def send_frames(self, frames: bytes, count: int = 1) -> None:
        """Send `count` frames made by `frame`, joined; dropped and counted when the client is too slow."""
        if not self._open:
            return
        if self._reads_slowly():
            self.dropped += count
        else:
            self.transport.write(frames)

    def send_within(self, frames: bytes, backlog: int) -> bool:
        """Send frames made by `frame` or `text_frame`, unless more than `backlog` bytes wait for the client.

        Returns:
            Whether they were sent. Nothing is counted, and nothing is closed.
        """
        if not self._open or self.transport.get_write_buffer_size() > backlog:
            return False
        self.transport.write(frames)
        return True

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with `code` and `reason` (cut to the 123 bytes a close frame holds).

        The endpoint's `closed` is called before this returns.
        """
        if not self._open:
            return
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(code, reason.encode()[:123].decode(errors="ignore"))
        self._write_out()
        self._finish()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops."""
        self.close(1001, "server stopped")

    def _reads_slowly(self) -> bool:
        """Return whether too much waits for the client; it is closed when that goes on."""
        if self.transport.get_write_buffer_size() <= BACKLOG_BYTES:
            self._over_since = None
            return False
        now = self._loop.time()
        if self._over_since is None:
            self._over_since = now
        elif now - self._over_since > BACKLOG_SECONDS:
            self.close(1011, "client reads too slowly")
        return True

    def _handshake(self, request: Request) -> None:
        response = self._websocket.accept(request)
        endpoint = None
        if response.status_code == 101:
            refusal = self._refusal(request.headers.get_all)
            if refusal is not None:
                response = self._reject(403, refusal)
            else:
                endpoint = self._router(unquote(request.path.partition("?")[0]))
                if endpoint is None:
                    response = self._reject(404, "Not Found")
        self._websocket.send_response(response)
        self._write_out()
        if endpoint is None:
            return
        self._open = True
        self._endpoint = endpoint
        self._ping = self._loop.call_later(PING_SECONDS, self._send_ping)
        endpoint.opened(self)

    def _reject(self, status: int, message: str) -> Response:
        response = self._websocket.reject(status, json.dumps({"errors": message}))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def _frame_received(self, event: Any) -> None:
        assert isinstance(event, Frame)
        opcode = event.opcode
        if opcode is Opcode.PONG:
            self._pinged = False
            return
        if opcode is Opcode.PING:
            # Answered by websockets. RFC 6455, section 5.5.3, allows to leave answers out; see `_write_out`.
            self._reads_slowly()
            return
        if opcode is Opcode.BINARY or opcode is Opcode.TEXT:
            text = opcode is Opcode.TEXT
            if event.fin:
                self._deliver(bytes(event.data), text)
            else:
                self._fragments, self._fragments_text = [bytes(event.data)], text
        elif opcode is Opcode.CONT and self._fragments:
            self._fragments.append(bytes(event.data))
            if len(self._fragments) > MAX_FRAGMENTS:
                self.close(1008, "message in too many fragments")
            elif event.fin:
                message, self._fragments = b"".join(self._fragments), []
                self._deliver(message, self._fragments_text)

    def _deliver(self, message: bytes, text: bool) -> None:
        if self._endpoint is None:
            return
        if text:
            self._endpoint.received_text(message)
        else:
            self._endpoint.received(message)

    def _write_out(self) -> None:
        for output in self._websocket.data_to_send():
            if self.transport.is_closing():
                return
            if output:
                if output[0] == _PONG and self.transport.get_write_buffer_size() > BACKLOG_BYTES:
                    self.dropped += 1
                    continue
                self.transport.write(output)
            elif self.transport.can_write_eof():
                # Half-closed first: closing with unread input would reset the connection, and the client
                # would never see the reason. A client that has reset it already is beyond that.
                with contextlib.suppress(OSError):
                    self.transport.write_eof()

    def _end(self) -> None:
        self._open = False
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.closed()

    def _finish(self) -> None:
        """End the connection: at once when the closing handshake is over, else after a short wait."""
        self._end()
        if self._websocket.close_rcvd is not None:
            self.transport.close()
        if self._closing is None:
            self._closing = self._loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _send_ping(self) -> None:
        if self._pinged:
            self._websocket.fail(1011, "keepalive ping timeout")
            self._write_out()
            self._finish()
            return
        self._pinged = True
        self._websocket.send_ping(b"")
        self._write_out()
        self._ping = self._loop.call_later(PING_SECONDS, self._send_ping)
