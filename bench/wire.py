"""The server's side of a WebSocket (RFC 6455), as little of it as a load generator needs.

Written out because a generator that costs as much per frame as what it loads would measure itself: with
the `websockets` library one core of it is used up long before the calls of the measured process are.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY = 0x82
_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A


def binary_frame(message: bytes) -> bytes:
    """A message of less than 64 KiB as the server sends it: one frame, not masked."""
    return _header(_BINARY, len(message)) + message


def _header(first: int, size: int) -> bytes:
    return bytes((first, size)) if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big")


def unmasked(mask: bytes, payload: bytes, start: int, size: int) -> int:
    """`size` bytes of a masked payload from `start`, as a number."""
    turned = (mask * (size // 4 + 2))[start & 3 : (start & 3) + size]
    return int.from_bytes(payload[start : start + size]) ^ int.from_bytes(turned)


class ServerSocket(asyncio.Protocol):
    """One connection. Subclasses say what a message means.

    Attributes:
        transport: Where frames are written.
        path: What the client asked for.
    """

    transport: asyncio.Transport
    path: str = ""

    def __init__(self) -> None:
        self._buffer = b""
        self._open = False

    def opened(self) -> None:
        """The client is connected."""

    def message(self, mask: bytes, payload: bytes) -> None:
        """A binary message, still masked, because most of its bytes are of no interest."""
        raise NotImplementedError

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        data = self._buffer + data if self._buffer else data
        if not self._open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return
            self._upgrade(data[:end])
            data = data[end + 4 :]
        self._buffer = self._frames(data)

    def _upgrade(self, request: bytes) -> None:
        lines = request.split(b"\r\n")
        self.path = lines[0].split()[1].decode()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._open = True
        self.opened()

    def _frames(self, data: bytes) -> bytes:
        """Handle the whole frames in `data`; what is left of it waits."""
        position = 0
        while len(data) - position >= 6:
            size = data[position + 1] & 0x7F
            start = position + 2
            if size == 126:
                size = int.from_bytes(data[start : start + 2])
                start += 2
            end = start + 4 + size
            if end > len(data):
                break
            first = data[position]
            if first == _BINARY:
                self.message(data[start : start + 4], data[start + 4 : end])
            elif first == _PING:
                content = unmasked(data[start : start + 4], data[start + 4 : end], 0, size)
                self.transport.write(_header(_PONG, size) + content.to_bytes(size))
            elif first == _CLOSE:
                self.transport.write(_header(_CLOSE, 0))
                self.transport.close()
            position = end
        return data[position:]
