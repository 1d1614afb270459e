"""The fault proxy between real clients and servers: every fault does what it says, and can be taken back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidMessage

from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import Cut, FaultProxy, Garble, HalfOpen, Refuse, Reset, Slow, Stall, fault_proxy

MESSAGE = bytes(range(256)) * 4


class Echo:
    """A WebSocket server that sends everything back, and knows what it received and how each socket ended."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.ended = 0

    async def handle(self, socket: ServerConnection) -> None:
        try:
            async for message in socket:
                assert isinstance(message, bytes)
                self.received.append(message)
                await socket.send(message)
        finally:
            self.ended += 1


@asynccontextmanager
async def echo(**options: Any) -> AsyncIterator[tuple[Echo, FaultProxy]]:
    far = Echo()
    async with serve(far.handle, "127.0.0.1", 0, compression=None, max_size=None, **options) as server:
        (listening,) = server.sockets
        async with FaultProxy(f"ws://127.0.0.1:{listening.getsockname()[1]}", seed=7) as proxy:
            yield far, proxy


def dial(proxy: FaultProxy, path: str = "/", **options: Any) -> connect:
    return connect(
        proxy.url + path, proxy=None, compression=None, ping_interval=None, max_size=None, **options
    )


async def echoed(socket: ClientConnection, message: bytes = MESSAGE) -> None:
    await socket.send(message)
    assert await socket.recv() == message


async def first_byte(proxy: FaultProxy) -> bytes:
    reader, writer = await asyncio.open_connection(*proxy.url.removeprefix("ws://").split(":"))
    try:
        return await reader.readexactly(1)
    finally:
        writer.close()


async def until_the_end(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Within ten seconds, and no task, no descriptor and no exception is left."""
    mistakes: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(str(context)))
        before = set(os.listdir("/proc/self/fd"))
        async with asyncio.timeout(10):
            await test()
            while asyncio.all_tasks() - {asyncio.current_task()}:  # noqa: ASYNC110 - sockets that were aborted
                await asyncio.sleep(0.01)
            while len(set(os.listdir("/proc/self/fd")) - before) > 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert not mistakes


def test_what_passes_is_what_was_sent() -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            big = os.urandom(3 << 20)
            await asyncio.gather(socket.send(big), asyncio.sleep(0))
            assert await socket.recv() == big
            assert far.received == [big]
            assert proxy.statistics.connections == proxy.statistics.open == 1
            assert proxy.statistics.bytes_up > len(big)
            assert proxy.statistics.bytes_down > len(big)

    run(test)


@pytest.mark.parametrize("fault", [Cut(), Reset()])
def test_both_sides_are_told_of_an_end(fault: Cut | Reset) -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            await echoed(socket)
            proxy.inject(fault)
            with pytest.raises(ConnectionClosedError) as caught:
                await socket.recv()
            assert isinstance(caught.value.__cause__, ConnectionResetError) == isinstance(fault, Reset)
            while not far.ended:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            async with dial(proxy) as again:
                await echoed(again)

    run(test)


def test_one_side_alone_can_be_told() -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            await echoed(socket)
            proxy.inject(Reset(side="client"))
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
            await asyncio.sleep(0.1)
            assert not far.ended
            assert proxy.statistics.open == 1

    run(test)


@pytest.mark.parametrize(
    "fault", [Cut(mid_frame="down"), Reset(mid_frame="up"), HalfOpen("down", mid_frame=True)]
)
def test_a_fault_in_mid_frame_lets_half_of_the_frame_through(fault: Cut | Reset | HalfOpen) -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            await echoed(socket)
            before = proxy.statistics
            injection = proxy.inject(fault)
            assert not injection.struck.is_set()
            await (await socket.ping())
            assert not injection.struck.is_set(), "a pong is no message"
            await socket.send(MESSAGE)
            await injection.struck.wait()
            passed = len(far.received) == 2
            assert passed == (fault != Reset(mid_frame="up"))
            if isinstance(fault, HalfOpen):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(socket.recv(), 0.1)
                assert proxy.statistics.bytes_swallowed == len(MESSAGE) // 2
                injection.clear()
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
            assert proxy.statistics.bytes_up - before.bytes_up > len(MESSAGE)

    run(test)


@pytest.mark.parametrize("how", ["port", "reset", "close"])
def test_nobody_is_there_until_the_refusal_is_cleared(how: Any) -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as open_one:
            with proxy.inject(Refuse(how)):
                for _ in range(2):
                    with pytest.raises((OSError, EOFError)) as caught:
                        await first_byte(proxy)
                    assert isinstance(caught.value, ConnectionRefusedError) == (how == "port")
                await echoed(open_one)
            async with dial(proxy) as socket:
                await echoed(socket)

    run(test)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_path_is_refused_and_another_is_not(how: Any) -> None:
    async def test() -> None:
        async with echo() as (_, proxy):
            proxy.inject(Refuse(how), path="/socket/agent", count=1)
            async with dial(proxy, "/socket/server") as socket:
                await echoed(socket)
            with pytest.raises((OSError, InvalidMessage)):
                await dial(proxy, "/socket/agent")
            async with dial(proxy, "/socket/agent") as socket:
                await echoed(socket)
                proxy.inject(Reset(), path="/socket/server")
                await echoed(socket)

    run(test)


def test_a_half_open_connection_swallows_until_it_is_cleared_and_is_reset_then() -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            await echoed(socket)
            injection = proxy.inject(HalfOpen())
            await socket.send(MESSAGE)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)
            with pytest.raises(TimeoutError):
                async with dial(proxy, open_timeout=0.1):
                    pass
            assert len(far.received) == 1
            injection.clear()
            with pytest.raises(ConnectionClosedError):
                await socket.recv()

    run(test)


def test_a_half_open_connection_over_which_nothing_went_goes_on() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as socket:
            with proxy.inject(HalfOpen()):
                await asyncio.sleep(0.05)
            await echoed(socket)

    run(test)


def test_a_client_that_goes_while_it_is_half_open_is_not_noticed() -> None:
    async def test() -> None:
        async with echo() as (far, proxy):
            socket = await dial(proxy, close_timeout=0.05)
            proxy.inject(HalfOpen("up"))
            await socket.close()
            await asyncio.sleep(0.1)
            assert not far.ended

    run(test)


def test_slow_lines_keep_order_and_lose_nothing() -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            loop = asyncio.get_running_loop()
            proxy.inject(Slow(rate=20000, latency=0.03, jitter=0.02))
            begin = loop.time()
            messages = [os.urandom(500) for _ in range(10)]
            for message in messages:
                await socket.send(message)
            assert [await socket.recv() for _ in messages] == messages
            # 5 kB at 20 kB/s, twice 0.03 s: no less, whatever the machine does.
            assert loop.time() - begin >= 0.25 + 0.06 - 0.02
            proxy.clear()
            assert far.received == messages
            await echoed(socket)

    run(test)


def test_a_stall_holds_everything_and_then_lets_it_through_at_once() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as socket:
            await echoed(socket)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            proxy.inject(Stall(0.3, way="up"))
            messages = [os.urandom(300) for _ in range(5)]
            for message in messages:
                await socket.send(message)
            assert [await socket.recv() for _ in messages] == messages
            assert loop.time() - begin >= 0.29
            # Cleared early, it is over early.
            stall = proxy.inject(Stall(60))
            await socket.send(MESSAGE)
            stall.clear()
            assert await socket.recv() == MESSAGE

    run(test)


def test_what_does_not_fit_into_a_stalled_line_is_pushed_back() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as socket:
            stall = proxy.inject(Stall(60))
            big = os.urandom(32 << 20)
            sending = asyncio.create_task(socket.send(big))
            await asyncio.sleep(0.2)
            assert not sending.done()
            assert proxy.statistics.bytes_up < 4 << 20
            stall.clear()
            assert await socket.recv() == big
            await sending

    run(test)


def test_a_garbled_payload_is_the_same_for_the_same_seed() -> None:
    async def once() -> bytes:
        async with echo() as (_, proxy), dial(proxy) as socket:
            injection = proxy.inject(Garble(way="up", flips=3, frames=1))
            await (await socket.ping())
            await socket.send(MESSAGE)
            await injection.struck.wait()
            garbled = await socket.recv()
            await echoed(socket)
            assert isinstance(garbled, bytes)
            assert 1 <= sum(a != b for a, b in zip(garbled, MESSAGE, strict=True)) <= 3
            assert proxy.statistics.bytes_garbled == sum(
                a != b for a, b in zip(garbled, MESSAGE, strict=True)
            )
            return garbled

    async def test() -> None:
        assert await once() == await once()

    run(test)


def test_a_garbled_header_ends_the_connection_by_protocol() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as socket:
            proxy.inject(Garble("header", way="down"))
            await socket.send(MESSAGE)
            with pytest.raises(ConnectionClosedError) as caught:
                await socket.recv()
            assert caught.value.sent is not None
            assert caught.value.sent.code == 1002

    run(test)


def test_a_garbled_length_is_read_at_the_wrong_place() -> None:
    async def test() -> None:
        async with echo() as (far, proxy), dial(proxy) as socket:
            injection = proxy.inject(Garble("length", way="up"))
            with contextlib.suppress(ConnectionClosedError):
                for _ in range(10):
                    await socket.send(MESSAGE)
            await injection.struck.wait()
            proxy.inject(Reset())
            with pytest.raises(ConnectionClosedError):
                await until_the_end(socket)
            assert MESSAGE not in far.received[:1]

    run(test)


def test_a_fault_for_some_connections_leaves_the_others_alone() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), dial(proxy) as first, dial(proxy) as second:
            proxy.inject(Reset(), [proxy.connections[0]])
            with pytest.raises(ConnectionClosedError):
                await first.recv()
            await echoed(second)

    run(test)


@pytest.mark.skipif(sys.platform == "win32", reason="a reset is seen later there")
def test_a_cut_of_a_connection_that_its_peer_has_just_reset_is_no_error() -> None:
    async def test() -> None:
        async with echo() as (_, proxy):
            near = socket.create_connection(proxy.url.removeprefix("ws://").split(":"))
            while not proxy.connections:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()
            # The proxy's loop has not heard of it yet.
            proxy.inject(Cut())
            while proxy.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(test)


def test_a_target_that_is_not_there_resets_and_one_that_moved_is_found() -> None:
    async def test() -> None:
        async with echo() as (_, proxy), FaultProxy("127.0.0.1:9") as other:
            with pytest.raises((ConnectionResetError, InvalidMessage)):
                await connect(f"ws://{other.url}", proxy=None)
            other.target = proxy.url
            async with connect(f"ws://{other.url}", proxy=None) as socket:
                await socket.send(b"found")
                assert await socket.recv() == b"found"

    run(test)


def test_a_target_that_takes_no_connection_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_proxy, "CONNECT_SECONDS", 0.1)

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
            address = full.getsockname()
            for _ in range(4):
                # Linux keeps one more than the backlog says, and drops whoever comes then.
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(address)
            async with FaultProxy("{}:{}".format(*address)) as proxy:
                with pytest.raises(ConnectionResetError):
                    await first_byte(proxy)

    run(test)


def test_a_fault_that_is_cleared_after_the_proxy_opens_nothing() -> None:
    async def test() -> None:
        async with echo() as (_, proxy):
            refusal = proxy.inject(Refuse())
        refusal.clear()
        with pytest.raises(ConnectionRefusedError):
            await first_byte(proxy)

    run(test)


def test_what_cannot_be_is_refused() -> None:
    async def test() -> None:
        async with echo() as (_, proxy):
            with pytest.raises(ValueError, match="use Cut or Reset"):
                proxy.inject(Refuse(), "live")
            with pytest.raises(ValueError, match="how='reset'"):
                proxy.inject(Refuse(), path="/socket")
        with pytest.raises(ValueError, match="host:port"):
            FaultProxy("nowhere")
        with pytest.raises(ValueError, match="HalfOpen"):
            Slow(rate=0)

    run(test)


def test_an_agent_that_was_made_through_the_proxy_connects_through_it_too() -> None:
    async def test() -> None:
        async with (
            EmbeddedServer() as server,
            FaultProxy(server.url) as proxy,
            AsyncFishjamClient(proxy.url, server.token) as client,
        ):
            agent = await client.create_agent((await client.create_room()).id)
            async with agent.connect():
                assert [connection.path for connection in proxy.connections][1:] == [
                    "/socket/agent/websocket"
                ]

    run(test)


def test_it_runs_in_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def test() -> None:
        async with asyncio.timeout(10), echo() as (_, proxy), dial(proxy) as socket:
            await echoed(socket)
            with proxy.inject(Stall(0.05)):
                await echoed(socket)
            proxy.inject(Reset(mid_frame="up"))
            await socket.send(MESSAGE)
            with pytest.raises(ConnectionClosedError):
                await socket.recv()

    uvloop.run(test())
