"""Beginnings of frames in bytes that pass by: WebSockets are followed, all else is taken as it comes."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_HEAD = 65536
"""Bytes after which what began like HTTP is not looked at any more."""
_HEAD_END = b"\r\n\r\n"
_CONTROL = 0x8
"""Opcodes from here on are control frames (RFC 6455, 5.2)."""


@dataclass(frozen=True, slots=True)
class PassingFrame:
    """A frame whose header has passed.

    Attributes:
        position: Bytes of the stream before it.
        header: Size of its header; 0 of what is no WebSocket frame.
        payload: Size of its payload.
        control: Whether it is a ping, a pong or a close frame.
    """

    position: int
    header: int
    payload: int
    control: bool = False

    @property
    def middle(self) -> int:
        """Position at which half of it has passed, at least one byte of it and not all."""
        return self.position + max(1, self.header + self.payload // 2)


class FrameFollower:
    """Finds frames in one direction of a connection. Knows no socket.

    Attributes:
        path: Target of the HTTP request that the stream began with; empty until it is known, and of others.
    """

    def __init__(self) -> None:
        self.path = ""
        self._position = 0
        self._head: bytes | None = b""
        self._websocket = False
        self._left = 0
        self._header = b""

    def feed(self, data: bytes) -> list[PassingFrame]:
        """Take bytes that pass.

        Returns:
            Frames whose headers are complete by now. Of what is no WebSocket, all of `data` as one.
        """
        if self._websocket:
            return self._frames(data)
        segment = PassingFrame(self._position, 0, len(data))
        if self._head is None:
            self._position += len(data)
            return [segment]
        self._head += data
        end = self._head.find(_HEAD_END)
        if end < 0:
            if len(self._head) > _LONGEST_HEAD or not self._head[:1].isalpha():
                self._head = None
            self._position += len(data)
            return [segment]
        rest = len(self._head) - end - len(_HEAD_END)
        self._websocket = websocket = self._read_head(self._head[:end])
        self._head = None
        if not websocket:
            self._position += len(data)
            return [segment]
        own = len(data) - rest
        self._position += own
        return [PassingFrame(segment.position, 0, own), *self._frames(data[own:])]

    def _read_head(self, head: bytes) -> bool:
        """Take the head of a request or an answer, and return whether WebSocket frames follow it."""
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if first.startswith("HTTP/"):
            return words[1:2] == ["101"]
        if len(words) < 2:
            return False
        self.path = words[1]
        fields = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in lines)}
        return fields.get("upgrade", "").strip().lower() == "websocket"

    def _frames(self, data: bytes) -> list[PassingFrame]:
        found: list[PassingFrame] = []
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                known = len(self._header)
                self._header += data[at : at + 14 - known]
                size = _header_size(self._header)
                if size > len(self._header):
                    self._position += len(data) - at
                    return found
                begin = self._position - known
                frame = PassingFrame(begin, size, _payload_size(self._header), _is_control(self._header))
                found.append(frame)
                step = size - known
                self._left, self._header = frame.payload, b""
            at += step
            self._position += step
        return found


def _header_size(header: bytes) -> int:
    """Size of a header by its first two bytes (RFC 6455, 5.2)."""
    if len(header) < 2:
        return 2
    length = header[1] & 0x7F
    return 2 + {126: 2, 127: 8}.get(length, 0) + (4 if header[1] & 0x80 else 0)


def _payload_size(header: bytes) -> int:
    length = header[1] & 0x7F
    if length == 126:
        return int.from_bytes(header[2:4])
    return int.from_bytes(header[2:10]) if length == 127 else length


def _is_control(header: bytes) -> bool:
    return header[0] & 0x0F >= _CONTROL
