"""Completeness of an ONNX file, found out without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_LAST_FIELD = 25
"""Highest number of a field of `ModelProto`: `functions` (onnx.proto)."""
_GRAPH = 7
"""Number of the field that holds the network."""
_FIXED = {1: 8, 5: 4}
"""Bytes of values of fixed size, by wire type (https://protobuf.dev/programming-guides/encoding/)."""
_VARINT, _BYTES = 0, 2


def is_whole(path: Path) -> bool:
    """Return whether a file is an ONNX model that ends where it says.

    An ONNX file is a message of Protocol Buffers, whose fields tell their length. Only these are read.

    Raises:
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    has_graph = False
    with path.open("rb") as file:
        while file.tell() < size:
            key = _varint(file)
            if key is None or not 0 < key >> 3 <= _LAST_FIELD:
                return False
            kind = key & 7
            if kind in _FIXED:
                length: int | None = _FIXED[kind]
            elif kind in (_VARINT, _BYTES):
                length = _varint(file)
            else:
                return False
            if length is None:
                return False
            if kind != _VARINT:
                if length > size - file.tell():
                    return False
                file.seek(length, 1)
            has_graph = has_graph or (key >> 3 == _GRAPH and kind == _BYTES)
        return has_graph


def _varint(file: BinaryIO) -> int | None:
    """Read a number of seven bits a byte, least ones first; None if it does not end."""
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
