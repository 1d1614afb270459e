"""A WebSocket whose messages can be taken, and sent, without a task: audio comes and goes 50 times a second.

`ClientConnection.recv` puts each message into a queue and wakes a task for it, which costs another turn of
the event loop and its system call; `send` opens a context that waits for what hardly ever has to be waited
for. Both stay in use for everything that is not the usual case. websockets' own `broadcast` sends without a
task as well, and spends most of its time on composing the frame; it offers nothing for what arrives.

Connections also bring a buffer (`asyncio.BufferedProtocol`). Without one, asyncio allocates 256 KiB for each
read and gives back what was not needed; with glibc that maps and unmaps memory once per frame. uvloop has a
buffer of its own, and gives the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import GeneratorType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.streams import StreamReader

from .frames import LARGEST, BinaryFrameWriter, payload_of
from .gathered_writes import GatheredWrites

T = TypeVar("T")

READ_BYTES = 16 * 1024
"""Most that is read at once, half a second of audio: a connection that has more to read waits its turn."""

_DATA = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)
_OPEN = State.OPEN

_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()
"""One for all connections of an event loop: it is filled and emptied in one go, by one at a time."""


def _buffer_of(loop: asyncio.AbstractEventLoop) -> memoryview:
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = memoryview(bytearray(READ_BYTES))
    return buffer


def _reads_none(data: bytes, start: int) -> Any:
    """Stand in for `read_known` of a listener that has none."""
    return None


def _take_nothing(message: Any) -> None:
    """Stand in for `take_parsed` of a listener that has none."""


def _largest(protocol: Protocol) -> int:
    """Bytes of the largest message that a connection takes, as far as it matters here."""
    # The last is what websockets 15 knows, the others what 16 made of it.
    limits = (getattr(protocol, name, None) for name in ("max_message_size", "max_fragment_size", "max_size"))
    return min((limit for limit in limits if isinstance(limit, int)), default=LARGEST)


class DirectConnection(ClientConnection, asyncio.BufferedProtocol):
    """A `ClientConnection` that can also be listened to and posted to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._take: Callable[[bytes], object] | None = None
        self._read_known: Callable[[bytes, int], tuple[Any, int] | None] = _reads_none
        self._take_parsed: Callable[[Any], object] = _take_nothing
        self._error: Exception | None = None
        # Messages of which a part has come, or all, and that `recv` has not given yet.
        self._queued = 0
        self._read = _buffer_of(self.loop)
        self._write_frame = BinaryFrameWriter().write
        self._writes = GatheredWrites.shared(self.loop)
        # Whether the next byte to arrive begins a frame that may be read here.
        self._at_frame = False

    async def listen(
        self,
        take: Callable[[str | bytes], object],
        read_known: Callable[[bytes, int], tuple[T, int] | None] = _reads_none,
        take_parsed: Callable[[T], object] = _take_nothing,
    ) -> None:
        """Give every message to `take` as soon as it is read, in the order of arrival, until cancelled.

        A binary message that came in one frame is given inside the callback that reads the socket, unless
        an earlier one still waits; every other message takes the way of `recv`.

        Args:
            take: Synchronous and quick. An exception of it ends the listening and is raised here.
            read_known: Asked first about bytes, and where in them a frame begins. Returns what is parsed of
                it and where it ends, if it is one binary message and all there; None for others.
            take_parsed: Given what is parsed so, in place of `take`, and like it.

        Raises:
            ConnectionClosed: As from `recv`, after the last message.
        """
        self._error = None
        self._take, self._read_known, self._take_parsed = take, read_known, take_parsed
        try:
            while True:
                message = await self.recv()
                if self._error is not None:
                    raise self._error
                take(message)
        finally:
            self._take = self._error = None
            self._read_known, self._take_parsed = _reads_none, _take_nothing

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer into which asyncio is to put the bytes it reads."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes were read into the buffer."""
        self.data_received(bytes(self._read[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take bytes of a loop that asks for no buffer, as uvloop does not where a protocol has this."""
        start, size = 0, len(data)
        # Closing, websockets decides what still counts.
        if self._at_frame and self.protocol.state is _OPEN:
            while (take := self._take) is not None and not self._queued:
                known = self._read_known(data, start)
                if known is not None:
                    parsed, start = known
                    self._give(self._take_parsed, parsed)
                else:
                    payload = payload_of(data, start, size)
                    if payload is None:
                        break
                    begin, start = payload
                    self._give(take, data[begin:start])
                if start == size:
                    return
        super().data_received(data[start:])
        self._at_frame = self._begins_plain_frame()

    def _give(self, take: Callable[[T], object], message: T) -> None:
        """Give a message to the listener; where that fails the queue wakes up `listen`, which raises it."""
        try:
            take(message)
        except Exception as error:  # noqa: BLE001 - raised by `listen`
            self._error = error
            self._queued += 1
            super().process_event(Frame(Opcode.BINARY, b""))

    def _begins_plain_frame(self) -> bool:
        """Return whether what arrives next begins a frame, and may be read here.

        Where websockets is can be seen from the coroutine in which its parser waits. If a version should wait
        in another one, everything takes the library's own way.
        """
        protocol = self.protocol
        if protocol.extensions or protocol.debug or _largest(protocol) < LARGEST:
            return False
        waits: Any = protocol.parser
        while isinstance(waits, GeneratorType) and waits.gi_yieldfrom is not None:
            waits = waits.gi_yieldfrom
        return getattr(waits, "gi_code", None) is StreamReader.at_eof.__code__

    async def recv(self, decode: bool | None = None) -> Any:
        """The next message, as `ClientConnection.recv` gives it."""
        message = await super().recv(decode)
        self._queued -= 1
        return message

    def process_event(self, event: Any) -> None:
        """Take a message, or leave it to the queue."""
        if isinstance(event, Frame) and event.opcode in _DATA:
            take = self._take
            if event.opcode is Opcode.BINARY and event.fin and take is not None and not self._queued:
                self._give(take, bytes(event.data))
                return
            self._queued += event.opcode is not Opcode.CONT
        super().process_event(event)

    def send_data(self) -> None:
        """Send what websockets has composed, behind what was posted before."""
        self._writes.settle()
        super().send_data()

    def post(self, message: bytes, *, gather: bool = False) -> bool:
        """Send a binary message if the connection is open and nothing waits to be sent.

        Args:
            message: The message.
            gather: Whether it may wait for those of other connections, to the end of this turn of the loop.

        Returns:
            False when it was not sent: `send` then waits for what there is to wait for.
        """
        transport, protocol = self.transport, self.protocol
        if protocol.state is not _OPEN or transport.get_write_buffer_size() or transport.is_closing():
            return False
        # While a message goes out in fragments, only they and control frames may.
        if protocol.expect_continuation_frame:
            return False
        if len(message) <= LARGEST and not (protocol.writes or protocol.extensions or protocol.debug):
            frame = self._write_frame(message)
            if gather:
                self._writes.write(self.loop, transport, frame)
            else:
                self._writes.settle()
                transport.write(frame)
            return True
        protocol.send_binary(message)
        self.send_data()
        return True
