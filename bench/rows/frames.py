"""A frame of audio through the agent socket, beside websockets' own way, without system calls.

Both sides of the comparison begin with the bytes that the event loop has read, and end with those that it is
to write. websockets' side is spared the task that waits in `recv`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import broadcast
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from bench import sounds
from bench.stopwatch import cpu_us
from bench.table import Row, spread
from bench.wire import binary_frame
from fishjam_agents.fishjam.direct import DirectConnection
from fishjam_agents.protocol import Track, TrackDataEncoder, TrackType

_TRACK = Track("9b1e2f5c-8a53-4f4e-9c0e-0d9f6a3b7c11", TrackType.AUDIO, '{"type":"microphone"}')
_REPETITIONS = 9


class _Sink(asyncio.Transport):
    """A socket that takes everything at once."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Bytes come by hand."""

    def resume_reading(self) -> None:
        """Bytes come by hand."""


class _Deaf(ClientConnection):
    """websockets' own connection, without the queue: what it reads is dropped."""

    def process_event(self, event: Any) -> None:
        """Take a frame."""


def _connected(kind: type[ClientConnection]) -> ClientConnection:
    """A connection after its handshake."""
    protocol, server = ClientProtocol(parse_uri("ws://127.0.0.1/")), ServerProtocol()
    protocol.send_request(protocol.connect())
    server.receive_data(b"".join(protocol.data_to_send()))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    protocol.receive_data(b"".join(server.data_to_send()))
    (response,) = protocol.events_received()
    if protocol.state is not State.OPEN:
        raise RuntimeError("websockets does not shake hands with itself: see bench/rows/frames.py")
    connection = kind(protocol, ping_interval=None)
    connection.connection_made(_Sink())
    connection.response = response  # type: ignore[assignment]
    return connection


def _compare(what: str, ours: list[float], theirs: list[float]) -> Row:
    ratio = sorted(theirs)[len(theirs) // 2] / sorted(ours)[len(ours) // 2]
    return Row(what, "", spread(ours, 2, "us"), f"websockets {spread(theirs, 1, 'us')}: {ratio:.1f} times")


async def measure(quick: bool) -> list[Row]:
    """Read and write a frame that carries 20 ms of audio."""
    times = 200 if quick else 10000
    message = TrackDataEncoder("peer-1", _TRACK).encode(sounds.conversation()[20])
    data = binary_frame(message)
    theirs, ours = _connected(_Deaf), _connected(DirectConnection)
    assert isinstance(ours, DirectConnection)
    taken = 0

    def take(_: str | bytes) -> None:
        nonlocal taken
        taken += 1

    listening = asyncio.create_task(ours.listen(take))
    await asyncio.sleep(0)
    buffer, size = ours.get_buffer(-1), len(data)
    buffer[:size] = data
    read = cpu_us(lambda: ours.buffer_updated(size), times, _REPETITIONS)
    written = cpu_us(lambda: ours.post(message), times, _REPETITIONS)
    listening.cancel()
    if taken != times * _REPETITIONS:
        raise RuntimeError(f"{taken} of {times * _REPETITIONS} frames were read: run the tests of fishjam/")
    return [
        _compare(
            "read a frame of 20 ms from the agent socket",
            read,
            cpu_us(lambda: theirs.data_received(data), times, _REPETITIONS),
        ),
        _compare("write one", written, cpu_us(lambda: broadcast([theirs], message), times, _REPETITIONS)),
    ]
