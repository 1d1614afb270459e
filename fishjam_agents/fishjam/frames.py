"""The frame that nearly every message of an agent is: one binary message, whole (RFC 6455, section 5.2).

Both directions give what websockets' own `Frame` gives, at a fraction of the work: fifty times a second and
call it would otherwise be a generator per field, a dataclass, a `BytesIO` and a system call for four random
bytes. No extension has been negotiated, or the bytes mean something else.
"""

from __future__ import annotations

import os

from websockets.frames import apply_mask  # type: ignore[attr-defined]

_FIN_BINARY = 0x82
_MASKED = 0x80
_TWO_BYTES = 126
"""In place of a length: it follows in two bytes."""
_KEYS_AT_ONCE = 256
_KEY_BYTES = 4
_keys: list[bytes] = []
if hasattr(os, "register_at_fork"):
    # Two processes are not to use the same ones.
    os.register_at_fork(after_in_child=_keys.clear)

LARGEST = 0xFFFF
"""Longest payload of such a frame here, in bytes; longer ones are rare, and websockets' business."""


def _masking_key() -> bytes:
    """An unpredictable key (section 5.3), as `secrets.token_bytes` gives it: many for one system call."""
    entropy = os.urandom(_KEYS_AT_ONCE * _KEY_BYTES)
    keys = [entropy[start : start + _KEY_BYTES] for start in range(0, len(entropy), _KEY_BYTES)]
    _keys.extend(keys[1:])
    return keys[0]


class BinaryFrameWriter:
    """Writes the frames of one client. What precedes the key depends only on the size, so it is kept."""

    __slots__ = ("_head", "_size")

    def __init__(self) -> None:
        self._size = -1
        self._head = b""

    def write(self, message: bytes) -> bytes:
        """The frame that carries a message of at most `LARGEST` bytes."""
        size = len(message)
        if size != self._size:
            self._size = size
            self._head = _head(size, _MASKED)
        try:
            key = _keys.pop()
        except IndexError:
            key = _masking_key()
        masked: bytes = apply_mask(message, key)
        return self._head + key + masked


def head_of(size: int) -> bytes:
    """Return what precedes a message of at most `LARGEST` bytes in such a frame of a server's."""
    return _head(size, 0)


def _head(size: int, masked: int) -> bytes:
    if size < _TWO_BYTES:
        return bytes((_FIN_BINARY, masked | size))
    return bytes((_FIN_BINARY, masked | _TWO_BYTES)) + size.to_bytes(2)


def payload_of(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Find the payload of the frame at `start`, if it is such a frame of a server's and ends by `end`.

    Returns:
        Where it begins and where it ends, which is where the next frame begins; None for anything else.
    """
    if end - start < 2 or data[start] != _FIN_BINARY:
        return None
    size = data[start + 1]
    start += 2
    if size >= _TWO_BYTES:
        # Masked, or longer than two bytes can say: both are above.
        if size > _TWO_BYTES or end - start < 2:
            return None
        size = data[start] << 8 | data[start + 1]
        start += 2
    return (start, start + size) if start + size <= end else None
