"""Frames are read and written as websockets reads and writes them, however they are cut and garbled."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from fishjam_agents.fishjam.direct import DirectConnection
from fishjam_agents.fishjam.frames import LARGEST, BinaryFrameWriter, payload_of
from fishjam_agents.fishjam.sockets import binary

sizes = st.one_of(st.integers(0, 130), st.integers(600, 700), st.integers(65_530, 65_540))
messages = sizes.map(lambda size: bytes(number * 7 & 0xFF for number in range(size)))


class Wire(asyncio.Transport):
    """Keeps what is written, as a socket with an empty buffer does.

    Attributes:
        written: Everything that was written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        pass


def server_protocol() -> ServerProtocol:
    """The other end, as it is after the handshake."""
    server = ServerProtocol(state=State.OPEN, max_size=None)
    # It parses a request first, unless its parser is that of an open connection.
    server.parser = super(ServerProtocol, server).parse()
    next(server.parser)
    return server


def frames_of(written: bytes) -> list[tuple[Opcode, bytes]]:
    """The frames that a client wrote, as websockets' own server reads them."""
    server = server_protocol()
    server.receive_data(written)
    assert server.parser_exc is None
    return [
        (event.opcode, bytes(event.data)) for event in server.events_received() if isinstance(event, Frame)
    ]


def frame(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def fragmented(parts: Sequence[bytes], between: bytes) -> bytes:
    """A message in fragments, with something else, perhaps forbidden, after the first."""
    first, *more = parts
    frames = [frame(Opcode.BINARY, first, fin=not more), between]
    frames += [frame(Opcode.CONT, part, fin=at == len(more) - 1) for at, part in enumerate(more)]
    return b"".join(frames)


plain = messages.map(lambda message: frame(Opcode.BINARY, message))
control = st.one_of(
    st.binary(max_size=125).map(lambda data: frame(Opcode.PING, data)),
    st.binary(max_size=125).map(lambda data: frame(Opcode.PONG, data)),
)
in_pieces = st.builds(
    fragmented, st.lists(st.binary(max_size=300), min_size=2, max_size=4), st.one_of(st.just(b""), control)
)
damage = st.one_of(
    st.binary(min_size=1, max_size=20),
    # A continuation of nothing, reserved bits, an unknown kind, a mask, a control frame in fragments.
    st.sampled_from([b"\x80\x01a", b"\xc2\x01a", b"\x83\x00", b"\x82\x81abcda", b"\x09\x00"]),
    # Longer than is taken, and a length of more bits than there are.
    st.sampled_from([b"\x82\x7f" + (1 << 30).to_bytes(8), b"\x82\x7f" + b"\xff" * 8]),
    plain.map(lambda data: b"\x02\x01a" + data),
)
goodbye = st.builds(
    lambda code, reason: frame(Opcode.CLOSE, code.to_bytes(2) + reason.encode()),
    st.sampled_from([1000, 1001, 1011, 4000, 1, 1005]),
    st.text(max_size=20),
)
text = st.text(max_size=50).map(lambda words: frame(Opcode.TEXT, words.encode()))
offsets = st.integers(-5, 5)
sound = st.one_of(plain, plain, plain, plain, control, in_pieces, text)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Bytes of a server, and the pieces in which they arrive."""
    parts = [
        *draw(st.lists(sound, max_size=8)),
        *draw(st.lists(st.one_of(goodbye, damage), max_size=1)),
        *draw(st.lists(sound, max_size=2)),
    ]
    data = b"".join(parts)
    ends = [0]
    for part in parts:
        ends.append(ends[-1] + len(part))
    near = st.builds(lambda end, off: min(max(0, end + off), len(data)), st.sampled_from(ends), offsets)
    cuts = sorted({0, len(data), *draw(st.lists(st.one_of(near, st.integers(0, len(data))), max_size=6))})
    return data, [data[begin:end] for begin, end in pairwise(cuts)]


def by_websockets(
    data: bytes, max_size: int = 1 << 24
) -> tuple[list[str | bytes], list[tuple[Opcode, bytes]], object]:
    """Messages, answers and end of a stream, as websockets' client has them."""
    client = open_protocol(max_size)
    client.receive_data(data)
    got: list[str | bytes] = []
    pieces: list[Frame] = []
    for event in client.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
            pieces.append(event)
            if event.fin:
                message = b"".join(piece.data for piece in pieces)
                got.append(_decoded(message) if pieces[0].opcode is Opcode.TEXT else message)
                pieces = []
    answers = frames_of(b"".join(client.data_to_send()))
    return got, answers, (client.state, client.close_rcvd, client.close_sent)


def _decoded(message: bytes) -> str:
    """A text; one that is none ends the connection when it is taken from the queue, which is not compared."""
    try:
        return message.decode()
    except UnicodeDecodeError:
        reject()


def open_protocol(max_size: int = 1 << 24) -> ClientProtocol:
    """A client as it is after the handshake."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=max_size)
    request = client.connect()
    client.send_request(request)
    server = ServerProtocol()
    server.receive_data(b"".join(client.data_to_send()))
    (received,) = server.events_received()
    server.send_response(server.accept(received))  # type: ignore[arg-type]
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    assert client.state is State.OPEN
    return client


async def listening(
    take: Callable[[Any], object], max_size: int = 1 << 24
) -> tuple[DirectConnection, Wire, asyncio.Task[None]]:
    """A connection after its handshake, that is listened to."""
    connection, wire = DirectConnection(open_protocol(max_size), ping_interval=None), Wire()
    connection.connection_made(wire)
    # The answer to the handshake has come.
    connection.response = object()  # type: ignore[assignment]
    task = asyncio.create_task(connection.listen(take))
    await asyncio.sleep(0)
    return connection, wire, task


def arrive(connection: DirectConnection, piece: bytes, *, buffered: bool = True) -> None:
    """Have bytes read by the event loop: by asyncio into the connection's buffer, or by uvloop."""
    while piece:
        if not buffered:
            connection.data_received(piece)
            return
        buffer = connection.get_buffer(-1)
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        connection.buffer_updated(size)
        piece = piece[size:]


def by_ours(
    pieces: Sequence[bytes], *, patient: bool, max_size: int = 1 << 24, buffered: bool = True
) -> tuple[list[str | bytes], list[tuple[Opcode, bytes]], object]:
    """Messages, answers and end of a stream that arrives in pieces, as a `DirectConnection` has them."""

    async def scenario() -> tuple[list[str | bytes], list[tuple[Opcode, bytes]], object]:
        got: list[str | bytes] = []
        connection, wire, task = await listening(got.append, max_size)
        for piece in pieces:
            arrive(connection, piece, buffered=buffered)
            if patient:
                await asyncio.sleep(0)
        for _ in range(40):
            await asyncio.sleep(0)
        protocol = connection.protocol
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return got, frames_of(wire.written), (protocol.state, protocol.close_rcvd, protocol.close_sent)

    return asyncio.run(scenario())


@given(streams(), st.booleans(), st.booleans())
def test_messages_answers_and_end_are_those_of_websockets(
    stream: tuple[bytes, list[bytes]], patient: bool, buffered: bool
) -> None:
    data, pieces = stream
    assert by_ours(pieces, patient=patient, buffered=buffered) == by_websockets(data)


SOUND = frame(Opcode.BINARY, bytes(700))
GOODBYE = frame(Opcode.CLOSE, b"\x03\xe8")


@pytest.mark.parametrize(
    ("pieces", "max_size"),
    [
        pytest.param(
            [SOUND, frame(Opcode.BINARY, b"a", fin=False), SOUND, SOUND], 1 << 24, id="in fragments"
        ),
        pytest.param([SOUND, GOODBYE, SOUND], 1 << 24, id="after a goodbye"),
        pytest.param([frame(Opcode.BINARY, b"a"), SOUND, SOUND], 100, id="longer than is taken"),
    ],
)
def test_a_whole_frame_where_none_may_come_is_what_it_is_to_websockets(
    pieces: list[bytes], max_size: int
) -> None:
    assert by_ours(pieces, patient=True, max_size=max_size) == by_websockets(b"".join(pieces), max_size)


def test_nothing_is_posted_between_fragments_nor_after_our_goodbye() -> None:
    async def scenario() -> list[tuple[Opcode, bytes]]:
        connection, wire, task = await listening(lambda _: None)
        assert connection.post(b"before")
        connection.protocol.send_binary(b"begun", fin=False)
        connection.send_data()
        assert not connection.post(b"between")
        connection.protocol.send_continuation(b"ended", fin=True)
        connection.send_data()
        assert connection.post(b"after")
        connection.protocol.send_close(1000)
        connection.send_data()
        assert not connection.post(b"too late")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return frames_of(wire.written)

    binary, more = Opcode.BINARY, Opcode.CONT
    said = [(binary, b"before"), (binary, b"begun"), (more, b"ended"), (binary, b"after")]
    assert asyncio.run(scenario()) == [*said, (Opcode.CLOSE, b"\x03\xe8")]


def test_every_frame_is_in_the_log_of_websockets_where_that_is_wanted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        connection, _, task = await listening(lambda _: None)
        for _ in range(3):
            arrive(connection, SOUND)
            assert connection.post(bytes(700))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with caplog.at_level(logging.DEBUG, "websockets"):
        asyncio.run(scenario())
    told = [record.getMessage()[:8] for record in caplog.records]
    assert told.count("< BINARY") == told.count("> BINARY") == 3


@given(st.lists(messages, min_size=1, max_size=5))
def test_websockets_reads_what_is_written(said: list[bytes]) -> None:
    writer = BinaryFrameWriter()
    small = [message for message in said if len(message) <= LARGEST]
    assert frames_of(b"".join(map(writer.write, small))) == [(Opcode.BINARY, message) for message in small]


@given(st.lists(messages, min_size=1, max_size=5))
def test_websockets_reads_what_is_posted_between_pongs(said: list[bytes]) -> None:
    async def scenario() -> bytes:
        connection, wire, task = await listening(lambda _: None)
        for message in said:
            assert connection.post(message)
            arrive(connection, frame(Opcode.PING, message[:3]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return wire.written

    expected = [[(Opcode.BINARY, message), (Opcode.PONG, message[:3])] for message in said]
    assert frames_of(asyncio.run(scenario())) == [written for pair in expected for written in pair]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_keys_of_its_own() -> None:
    writer = BinaryFrameWriter()
    writer.write(b"hello")
    reading, writing = os.pipe()
    child = os.fork()
    key = writer.write(b"hello")[2:6]
    if child == 0:
        os.write(writing, key)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 4) != key
    os.close(reading)
    os.close(writing)


def test_every_frame_has_a_key_of_its_own() -> None:
    writer = BinaryFrameWriter()
    keys = [writer.write(b"sound")[2:6] for _ in range(500)]
    assert len(set(keys)) > 490


@given(plain, st.binary(max_size=10))
def test_what_is_read_here_is_a_whole_frame(data: bytes, more: bytes) -> None:
    payload = payload_of(data + more, 0, len(data + more))
    if payload is not None:
        begin, end = payload
        assert end == len(data)
        assert frame(Opcode.BINARY, data[begin:end]) == data
    assert payload_of(data, 0, len(data) - 1) is None


@pytest.mark.parametrize("buffered", [True, False])
def test_audio_passes_by_the_parser_of_websockets(buffered: bool, monkeypatch: Any) -> None:
    arrives = partial(arrive, buffered=buffered)

    async def scenario() -> tuple[int, int]:
        got: list[bytes] = []
        connection, wire, task = await listening(got.append)
        sound = frame(Opcode.BINARY, bytes(700))
        arrives(connection, frame(Opcode.PING, b"are you there"))
        parsed = 0
        receive = connection.protocol.receive_data

        def receive_data(data: bytes | bytearray) -> None:
            nonlocal parsed
            parsed += len(data)
            receive(data)

        monkeypatch.setattr(connection.protocol, "receive_data", receive_data)
        for _ in range(10):
            arrives(connection, sound)
        # What is cut goes the other way, and the next comes here again.
        arrives(connection, sound + sound[:100])
        arrives(connection, sound[100:])
        for _ in range(10):
            arrives(connection, sound)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(wire.written) == len(b"are you there") + 6
        return len(got), parsed

    assert asyncio.run(scenario()) == (22, 704)


@pytest.mark.parametrize(
    "loop",
    [
        "asyncio",
        pytest.param(
            "uvloop", marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")
        ),
    ],
)
def test_audio_passes_by_the_parser_of_websockets_on_every_loop(loop: str, monkeypatch: Any) -> None:
    """What asyncio reads into a buffer uvloop gives as bytes: a socket tells which."""

    async def speak(socket: ServerConnection) -> None:
        for number in range(20):
            await socket.send(bytes([number]) * 700)
            # One is not to be cut where the client's buffer ends.
            await socket.recv()

    async def scenario() -> tuple[list[bytes], int]:
        got: list[bytes] = []
        parsed = 0
        receive = ClientProtocol.receive_data

        def receive_data(protocol: ClientProtocol, data: bytes | bytearray) -> None:
            nonlocal parsed
            parsed += len(data)
            receive(protocol, data)

        async with (
            serve(speak, "127.0.0.1", 0) as server,
            connect(
                f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                create_connection=DirectConnection,
                compression=None,
                proxy=None,
            ) as connection,
        ):
            assert isinstance(connection, DirectConnection)
            monkeypatch.setattr(ClientProtocol, "receive_data", receive_data)

            def take(message: str | bytes) -> None:
                got.append(binary(message))
                assert connection.post(b"heard")

            with suppress(ConnectionClosed):
                async with asyncio.timeout(20):
                    await connection.listen(take)
        return got, parsed

    runner = asyncio if loop == "asyncio" else import_module("uvloop")
    got, parsed = runner.run(scenario())
    assert got == [bytes([number]) * 700 for number in range(20)]
    # The first message may come with the answer to the handshake, the goodbye comes last.
    assert parsed < 3 * 700
