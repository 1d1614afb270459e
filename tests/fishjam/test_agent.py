from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.errors import AudioError, ConfigError, ProtocolError, SessionError
from fishjam_agents.fishjam import (
    Agent,
    AgentAuthError,
    SessionClosedError,
    SessionLostError,
    UnreachableError,
    sockets,
)
from fishjam_agents.protocol import (
    AddTrack,
    CaptureImage,
    InterruptTrack,
    RemoveTrack,
    Track,
    TrackChunk,
    TrackData,
    TrackImage,
    decode_agent_request,
    encode_authenticated,
    encode_track_data,
    encode_track_image,
)
from fishjam_agents.session import OutgoingAudioTrackOptions, TrackEncoding

from .stubs import Script, agent_session, stay, websocket_server

TRACK = Track("track", 2, '{"type": "microphone"}')


def frames_until_the_end(script: Script) -> tuple[list[Any], BaseException | None]:
    """What an agent receives from a server that follows `script`, and the error that ended it."""

    async def scenario() -> tuple[list[Any], BaseException | None]:
        frames = []
        async with agent_session(script) as session:
            try:
                async for frame in session.receive():
                    frames.append(frame)  # noqa: PERF401
            except (SessionError, ProtocolError) as error:
                return frames, error
        return frames, None

    return asyncio.run(scenario())


def noting(heard: list[object]) -> Script:
    """A server that notes what the agent says."""

    async def script(socket: ServerConnection) -> None:
        async for message in socket:
            assert isinstance(message, bytes)
            heard.append(decode_agent_request(message))

    return script


def test_audio_and_images_arrive_and_empty_or_unknown_messages_are_skipped() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(b"")
        await socket.send(encode_track_data("peer", TRACK, b"\x01\x00"))
        await socket.send(bytes.fromhex("fa 01 00"))
        await socket.send(encode_authenticated())
        await socket.send(encode_track_image("video", "image/jpeg", b"\xff" * 3_000_000))

    frames, error = frames_until_the_end(script)
    assert frames == [
        TrackData("peer", TRACK, b"\x01\x00"),
        TrackImage("video", "image/jpeg", b"\xff" * 3_000_000),
    ]
    assert isinstance(error, SessionClosedError)


@pytest.mark.parametrize(
    "message", [b"\xff\xff garbage", encode_track_data("peer", TRACK, bytes(640))[:-1], "text"]
)
def test_what_is_no_message_ends_the_session_with_a_sentence(message: str | bytes) -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(encode_track_data("peer", TRACK, b"\x01\x00"))
        await socket.send(message)
        await stay(socket)

    frames, error = frames_until_the_end(script)
    assert len(frames) == 1
    assert isinstance(error, ProtocolError)
    assert "\n" not in str(error)


def test_a_goodbye_of_the_server_is_told_from_a_loss() -> None:
    async def removed(socket: ServerConnection) -> None:
        await socket.close(1000, "Peer removed")

    async def crashed(socket: ServerConnection) -> None:
        await socket.close(1011, "Internal server error")

    async def aborted(socket: ServerConnection) -> None:
        socket.transport.abort()

    _, error = frames_until_the_end(removed)
    assert isinstance(error, SessionClosedError)
    assert error.reason == "Peer removed"
    _, error = frames_until_the_end(crashed)
    assert isinstance(error, SessionLostError)
    assert error.code == 1011
    _, error = frames_until_the_end(aborted)
    assert isinstance(error, SessionLostError)
    assert error.code == 1006


def test_a_message_over_sixteen_mebibytes_ends_the_session() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(encode_track_image("video", "image/jpeg", bytes(17 << 20)))

    _, error = frames_until_the_end(script)
    assert isinstance(error, SessionLostError)
    assert error.code == 1009
    assert "over 16 MiB" in str(error)


def test_what_the_agent_says_reaches_the_server() -> None:
    heard: list[object] = []

    async def scenario() -> str:
        async with agent_session(noting(heard)) as session:
            track = await session.add_track(
                OutgoingAudioTrackOptions(sample_rate=24000, metadata={"type": "microphone"})
            )
            await track.send_chunk(b"\x01\x00")
            await track.send_chunk(bytes(960))
            await track.interrupt()
            await session.capture_image("video")
            await session.remove_track(track)
            await session.disconnect()
            return track.id

    id = asyncio.run(scenario())
    assert heard == [
        AddTrack(Track(id, 2, '{"type": "microphone"}'), 0, 24000, 1),
        TrackChunk(id, b"\x01\x00"),
        TrackChunk(id, bytes(960)),
        InterruptTrack(id),
        CaptureImage("video"),
        RemoveTrack(id),
    ]


def test_a_chunk_is_posted_between_other_messages_where_nothing_waits() -> None:
    heard: list[object] = []

    async def scenario() -> str:
        async with agent_session(noting(heard)) as session:
            track = await session.add_track()
            assert track.post_chunk(b"\x01\x00")
            await track.interrupt()
            # Longer than a frame with a length of two bytes.
            assert track.post_chunk(bytes(100_000))
            await track.send_chunk(b"\x02\x00")
            assert not track.post_chunk(bytes((1 << 20) + 2))
            with pytest.raises(AudioError, match="too long"):
                await track.send_chunk(bytes((1 << 20) + 2))
            await session.disconnect()
            assert not track.post_chunk(b"\x03\x00")
            return track.id

    id = asyncio.run(scenario())
    chunks = [TrackChunk(id, b"\x01\x00"), InterruptTrack(id), TrackChunk(id, bytes(100_000))]
    assert heard[1:] == [*chunks, TrackChunk(id, b"\x02\x00")]


def test_receiving_ends_when_the_agent_itself_leaves() -> None:
    async def scenario() -> None:
        async with agent_session(stay) as session:

            async def leave() -> None:
                await session.disconnect()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(leave())
                assert [frame async for frame in session.receive()] == []
            with pytest.raises(SessionClosedError, match="connect again"):
                await session.capture_image("video")

    asyncio.run(scenario())


def test_sending_after_the_end_says_how_it_ended() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(1011, "crash")

    async def scenario() -> None:
        async with agent_session(script) as session:
            track = await session.add_track()
            with pytest.raises(SessionLostError, match="1011, crash"):
                async for _ in session.receive():
                    pass
            with pytest.raises(SessionLostError, match="1011, crash"):
                await track.send_chunk(b"\x00\x00")
            with pytest.raises(SessionLostError, match="1011, crash"):
                await track.interrupt()

    asyncio.run(scenario())


def test_sending_can_be_stepped_by_hand_outside_a_task() -> None:
    # The playout layer starts it from the ticker's callback, where no task is current.
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.recv()
        await socket.close(1011, "crash")

    async def scenario() -> None:
        async with agent_session(script) as session:
            track = await session.add_track()
            outcome: list[object] = []

            def step() -> None:
                coroutine = track.send_chunk(b"\x00\x00")
                try:
                    coroutine.send(None)
                except StopIteration:
                    outcome.append("sent")
                except SessionError as error:
                    outcome.append(error)

            asyncio.get_running_loop().call_soon(step)
            with pytest.raises(SessionLostError):
                async for _ in session.receive():
                    pass
            asyncio.get_running_loop().call_soon(step)
            await asyncio.sleep(0.01)
            assert outcome[0] == "sent"
            assert isinstance(outcome[1], SessionLostError)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (OutgoingAudioTrackOptions(channels=2), "mix it down to mono"),
        (OutgoingAudioTrackOptions(sample_rate=48000), "resample it"),
        (OutgoingAudioTrackOptions(encoding=7), "use PCM16 or Opus"),  # type: ignore[arg-type]
        (OutgoingAudioTrackOptions(metadata={"a": {1, 2}}), "cannot be written as JSON"),
        (OutgoingAudioTrackOptions(metadata={"a": float("nan")}), "cannot be written as JSON"),
    ],
)
def test_a_track_fishjam_would_not_take_is_refused(options: OutgoingAudioTrackOptions, advice: str) -> None:
    async def scenario() -> None:
        async with agent_session(stay) as session:
            with pytest.raises(ConfigError, match=advice):
                await session.add_track(options)
            await session.add_track(OutgoingAudioTrackOptions(TrackEncoding.TRACK_ENCODING_OPUS, 48000))

    asyncio.run(scenario())


def connecting_to(script: Script) -> BaseException:
    """The error with which an agent fails to connect to a server that follows `script`."""

    async def scenario() -> None:
        async with (
            asyncio.timeout(10),
            websocket_server(script) as url,
            Agent("agent", "room", "secret", url).connect(),
        ):
            raise AssertionError("connected")

    with pytest.raises((SessionError, ProtocolError, UnreachableError)) as caught:
        asyncio.run(scenario())
    assert "secret" not in str(caught.value)
    return caught.value


def test_a_refused_token_is_an_error_of_its_own_with_the_reason() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(1000, "invalid token")

    error = connecting_to(script)
    assert isinstance(error, AgentAuthError)
    assert error.reason == "invalid token"


def test_a_server_that_breaks_off_during_authentication_has_not_refused_the_token() -> None:
    async def crashed(socket: ServerConnection) -> None:
        await socket.close(1011, "crash")

    async def aborted(socket: ServerConnection) -> None:
        socket.transport.abort()

    async def said_nothing(socket: ServerConnection) -> None:
        """A close frame without a code, as proxies send it when they are restarted (1005)."""
        async with socket.send_context():
            socket.protocol.send_close()

    error = connecting_to(said_nothing)
    assert isinstance(error, SessionLostError)
    assert error.code == 1005
    assert isinstance(connecting_to(crashed), SessionLostError)
    assert isinstance(connecting_to(aborted), SessionLostError)


@pytest.mark.parametrize("answer", [b"\xff", encode_track_data("peer", TRACK, b"ab"), b"", "authenticated"])
def test_another_answer_to_the_authentication_is_no_fishjam(answer: str | bytes) -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(answer)
        await stay(socket)

    assert isinstance(connecting_to(script), ProtocolError)


def test_a_server_that_does_not_answer_the_authentication_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "HANDSHAKE_TIMEOUT", 0.1)
    error = connecting_to(stay)
    assert isinstance(error, SessionLostError)
    assert "got no answer" in str(error)


def test_a_server_that_is_not_there_is_named() -> None:
    async def scenario() -> None:
        async with websocket_server(stay) as url:
            pass
        with pytest.raises(UnreachableError, match="is the server running"):
            async with Agent("agent", "room", "token", url).connect():
                pass

    asyncio.run(scenario())


def test_a_server_without_websockets_is_no_fishjam() -> None:
    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            with pytest.raises(UnreachableError, match="no Fishjam socket"):
                async with Agent("agent", "room", "token", url).connect():
                    pass

    asyncio.run(scenario())


def test_an_agent_shows_no_token() -> None:
    assert "secret" not in repr(Agent("agent", "room", "secret", "http://localhost:1"))
