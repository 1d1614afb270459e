"""WebSocket frames as bytes (RFC 6455, section 5.2), without I/O."""

from __future__ import annotations

import struct

_TEXT = 0x81
_BINARY = 0x82
"""First byte of a whole message: the last fragment, opcode 1 or 2."""


def frame(message: bytes) -> bytes:
    """`message` as one unmasked binary frame (RFC 6455, section 5.2)."""
    return _frame(_BINARY, message)


def text_frame(message: str) -> bytes:
    """`message` as one unmasked text frame (RFC 6455, section 5.2)."""
    return _frame(_TEXT, message.encode())


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 0x10000:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def frame_size(data: bytes | bytearray) -> tuple[int, int] | None:
    """Bytes of the header and of the payload of the frame that `data` begins with (RFC 6455, section 5.2).

    None when its header has not arrived as a whole.
    """
    if len(data) < 2:
        return None
    size = data[1] & 0x7F
    extended = {126: 2, 127: 8}.get(size, 0)
    header = 2 + extended + (4 if data[1] & 0x80 else 0)
    if len(data) < header:
        return None
    return header, int.from_bytes(data[2 : 2 + extended], "big") if extended else size
