"""A WebSocket whose messages can be taken, and sent, without a task: audio comes and goes 50 times a second.

`ClientConnection.recv` puts each message into a queue and wakes a task for it, which costs another turn of
the event loop and its system call; `send` opens a context that waits for what hardly ever has to be waited
for. Both stay in use for everything that is not the usual case.

The connection also brings its own buffer (`asyncio.BufferedProtocol`). Without one, asyncio allocates 256 KiB
for each read and gives back what was not needed; with glibc that maps and unmaps memory once per frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

READ_BYTES = 16 * 1024
"""Most that is read at once: a second of audio would be twice as much, a frame of 20 ms is 0.7 kB."""


class DirectConnection(ClientConnection, asyncio.BufferedProtocol):
    """A `ClientConnection` that can also be listened to and posted to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take: Callable[[bytes], object] | None = None
        self._error: Exception | None = None
        self._queued = 0
        self._read = memoryview(bytearray(READ_BYTES))

    async def listen(self, take: Callable[[str | bytes], object]) -> None:
        """Give every message to `take` as soon as it is read, in the order of arrival, until cancelled.

        A binary message that came in one frame is given inside the callback that reads the socket, unless
        an earlier one still waits; every other message takes the way of `recv`.

        Args:
            take: Synchronous and quick. An exception of it ends the listening and is raised here.

        Raises:
            ConnectionClosed: As from `recv`, after the last message.
        """
        self._error = None
        self._take = take
        try:
            while True:
                message = await self.recv()
                if self._error is not None:
                    raise self._error
                take(message)
        finally:
            self._take = self._error = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer into which asyncio is to put the bytes it reads."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes were read."""
        self.data_received(bytes(self._read[:nbytes]))

    async def recv(self, decode: bool | None = None) -> Any:
        """The next message, as `ClientConnection.recv` gives it."""
        message = await super().recv(decode)
        self._queued -= 1
        return message

    def process_event(self, event: Any) -> None:
        """Take a message, or leave it to the queue."""
        if isinstance(event, Frame) and event.opcode is not Opcode.CONT:
            take = self._take
            if event.opcode is Opcode.BINARY and event.fin and take is not None and not self._queued:
                try:
                    take(bytes(event.data))
                except Exception as error:  # noqa: BLE001 - raised by `listen`, which the queue wakes up
                    self._error = error
                else:
                    return
            self._queued += event.opcode in (Opcode.BINARY, Opcode.TEXT)
        super().process_event(event)

    def post(self, message: bytes) -> bool:
        """Send a binary message at once if the connection is open and nothing waits to be sent.

        Returns:
            False when it was not sent: `send` then waits for what there is to wait for.
        """
        transport = self.transport
        if transport.get_write_buffer_size() or transport.is_closing():
            return False
        self.protocol.send_binary(message)
        for data in self.protocol.data_to_send():
            transport.write(data)
        return True
