"""Messages between a program and its worker processes: a JSON object a line, over a pair of sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any

LONGEST_MESSAGE = 1 << 20
"""Bytes of a message; instructions of a call are the longest part."""
MOST_UNSENT = 8 << 20
"""Bytes that may wait for the other side to read; it hangs when there are more."""


class ControlChannel:
    """One end. Whoever is at the other end is trusted.

    Args:
        reader: Reads the socket.
        writer: Writes to it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> ControlChannel:
        """Use one socket of a pair, which is closed with the channel."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end, limit=LONGEST_MESSAGE))

    def send(self, kind: str, **content: Any) -> None:
        """Send a message; what cannot be sent any more is dropped, since the other side is gone."""
        if self._writer.transport.is_closing():
            return
        self._writer.write(json.dumps({"kind": kind, **content}).encode() + b"\n")
        if self._writer.transport.get_write_buffer_size() > MOST_UNSENT:
            self._writer.transport.abort()

    async def receive(self) -> Mapping[str, Any] | None:
        """The next message; None when the other side is gone."""
        try:
            line = await self._reader.readline()
            # What a process said as it died may be cut off.
            message: Mapping[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None
        return message

    def close(self) -> None:
        """Close the channel; what was sent still arrives."""
        self._writer.close()
