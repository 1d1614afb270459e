"""`AgentSession.listen` gives what `receive` gives, without a task per frame."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.errors import ProtocolError, SessionError
from fishjam_agents.fishjam import AgentSession, SessionLostError
from fishjam_agents.protocol import Track, encode_track_data, encode_track_image

from .stubs import Script, agent_session, stay

TRACK = Track("track", 2, '{"type": "microphone"}')


def audio(number: int) -> bytes:
    return encode_track_data("peer", TRACK, number.to_bytes(2, "little") * 320)


async def mixture(socket: ServerConnection) -> None:
    """Frames, one of them in fragments, an empty message, one of an unknown kind, a still."""
    await socket.send(audio(1))
    await socket.send([audio(2)[:100], audio(2)[100:300], audio(2)[300:]])
    await socket.send(audio(3))
    await socket.send(b"")
    await socket.send(bytes.fromhex("fa 01 00"))
    await socket.send(encode_track_image("video", "image/jpeg", bytes(100_000)))
    await socket.send(audio(4))


async def removed(socket: ServerConnection) -> None:
    await mixture(socket)
    await socket.close(1000, "Peer removed")


async def crashed(socket: ServerConnection) -> None:
    await mixture(socket)
    await socket.close(1011, "Internal server error")


async def aborted(socket: ServerConnection) -> None:
    socket.transport.abort()


async def garbage(socket: ServerConnection) -> None:
    await mixture(socket)
    await socket.send(b"\xff\xff garbage")
    await socket.send(audio(5))
    await stay(socket)


async def text(socket: ServerConnection) -> None:
    await mixture(socket)
    await socket.send("text")
    await stay(socket)


async def huge(socket: ServerConnection) -> None:
    await mixture(socket)
    await socket.send(bytes(17 << 20))


async def received(session: AgentSession, frames: list[Any]) -> None:
    async for frame in session.receive():
        frames.append(frame)  # noqa: PERF401


async def listened(session: AgentSession, frames: list[Any]) -> None:
    await session.listen(frames.append)


@pytest.mark.parametrize("script", [removed, crashed, aborted, garbage, text, huge])
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_listening_and_receiving_give_the_same_frames_and_the_same_end(script: Script, delay: float) -> None:
    async def scenario(listen: bool) -> tuple[list[Any], str]:
        frames: list[Any] = []
        async with agent_session(script) as session:
            await asyncio.sleep(delay)
            try:
                await (listened if listen else received)(session, frames)
            except (SessionError, ProtocolError) as error:
                return frames, repr(error)
        return frames, "left"

    assert asyncio.run(scenario(True)) == asyncio.run(scenario(False))


def test_what_arrived_before_the_listening_is_given_first() -> None:
    async def script(socket: ServerConnection) -> None:
        for number in range(500):
            await socket.send(audio(number))
            if number % 50 == 0:
                await socket.send([audio(1000 + number)[:9], audio(1000 + number)[9:]])
                await asyncio.sleep(0)
        await socket.close()

    async def scenario() -> list[int]:
        frames: list[Any] = []
        async with agent_session(script) as session:
            await asyncio.sleep(0.01)
            with pytest.raises(SessionError):
                await listened(session, frames)
        return [int.from_bytes(frame.data[:2], "little") for frame in frames]

    numbers = asyncio.run(scenario())
    assert numbers == [n for i in range(500) for n in ([i, 1000 + i] if i % 50 == 0 else [i])]


def test_what_the_listener_raises_ends_the_listening_and_loses_nothing_that_follows() -> None:
    async def script(socket: ServerConnection) -> None:
        for number in range(5):
            await socket.send(audio(number))
            await asyncio.sleep(0.01)
        await socket.close()

    async def scenario() -> list[int]:
        heard: list[int] = []

        def hear(frame: Any) -> None:
            heard.append(frame.data[0])
            if frame.data[0] == 2:
                raise LookupError("a bad listener")

        async with agent_session(script) as session:
            with pytest.raises(LookupError):
                await session.listen(hear)
            rest: list[Any] = []
            with pytest.raises(SessionError):
                await received(session, rest)
        return heard + [frame.data[0] for frame in rest]

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def test_leaving_ends_the_listening_without_an_error() -> None:
    async def scenario() -> None:
        async with agent_session(stay) as session, asyncio.TaskGroup() as group:
            group.create_task(session.listen(print))
            await asyncio.sleep(0)
            await session.disconnect()

    asyncio.run(scenario())


def test_a_server_that_does_not_read_holds_the_sender_back() -> None:
    async def script(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await asyncio.sleep(0.2)
        socket.transport.abort()

    async def scenario() -> int:
        sent = 0
        async with agent_session(script) as session:
            track = await session.add_track()

            async def talk() -> None:
                nonlocal sent
                while sent < 1000:
                    await track.send_chunk(bytes(100_000))
                    sent += 1

            with pytest.raises(SessionLostError):
                await talk()
        return sent

    assert 0 < asyncio.run(scenario()) < 1000
