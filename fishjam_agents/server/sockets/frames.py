"""WebSocket frames as bytes (RFC 6455, section 5.2), without I/O."""

from __future__ import annotations

import struct


def frame(message: bytes) -> bytes:
    """`message` as one unmasked binary frame (RFC 6455, section 5.2)."""
    size = len(message)
    if size < 126:
        return b"\x82" + bytes((size,)) + message
    if size < 0x10000:
        return struct.pack("!BBH", 0x82, 126, size) + message
    return struct.pack("!BBQ", 0x82, 127, size) + message


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
