from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.errors import ProtocolError, SessionError
from fishjam_agents.fishjam import (
    FishjamNotifier,
    NotifierAuthError,
    SessionLostError,
    UnreachableError,
    sockets,
)
from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.protocol.generated.notifications import ServerMessage

from .stubs import Script, stay, websocket_server

AUTHENTICATED = bytes.fromhex("32 00")
SUBSCRIBED = bytes.fromhex("4a 02 08 01")
CREATED = ServerMessage(room_created=n.ServerMessageRoomCreated("room"))
DELETED = ServerMessage(room_deleted=n.ServerMessageRoomDeleted("room"))


async def admit(socket: ServerConnection) -> None:
    auth = decode(ServerMessage, await socket.recv(decode=False))
    assert auth.auth_request.token == "secret"
    await socket.send(AUTHENTICATED)
    assert await socket.recv() == bytes.fromhex("42 02 08 01")
    await socket.send(SUBSCRIBED)


def events_until_the_end(script: Script) -> tuple[list[object], BaseException]:
    async def scenario() -> tuple[list[object], BaseException]:
        events: list[object] = []
        async with asyncio.timeout(10), websocket_server(script) as url:
            try:
                async with FishjamNotifier(url, "secret") as notifier:
                    async for event in notifier.events():
                        events.append(event)  # noqa: PERF401
            except (SessionError, ProtocolError, UnreachableError) as error:
                return events, error
        raise AssertionError("ended without an error")

    return asyncio.run(scenario())


def test_notifications_arrive_in_order_with_batches_unpacked_and_unknown_kinds_skipped() -> None:
    async def script(socket: ServerConnection) -> None:
        await admit(socket)
        await socket.send(encode(CREATED))
        await socket.send(bytes.fromhex("9a 3f 00"))
        await socket.send(AUTHENTICATED)
        batch = n.ServerMessageNotificationBatch([CREATED, DELETED])
        await socket.send(encode(ServerMessage(notification_batch=batch)))

    events, _ = events_until_the_end(script)
    created, deleted = n.ServerMessageRoomCreated("room"), n.ServerMessageRoomDeleted("room")
    assert events == [created, created, deleted]


def test_a_wrong_management_token_is_an_error_of_its_own() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(1000, "invalid token")

    events, error = events_until_the_end(script)
    assert isinstance(error, NotifierAuthError)
    assert error.reason == "invalid token"
    assert events == []


def test_a_lost_socket_is_told() -> None:
    async def script(socket: ServerConnection) -> None:
        await admit(socket)
        await socket.send(encode(CREATED))
        await socket.close(1011, "crash")

    events, error = events_until_the_end(script)
    assert len(events) == 1
    assert isinstance(error, SessionLostError)


@pytest.mark.parametrize("message", [b"\xff", encode(CREATED)[:-1], "text"])
def test_what_is_no_notification_ends_with_a_sentence(message: str | bytes) -> None:
    async def script(socket: ServerConnection) -> None:
        await admit(socket)
        await socket.send(message)
        await stay(socket)

    _, error = events_until_the_end(script)
    assert isinstance(error, ProtocolError)


def test_another_answer_to_the_handshake_is_no_fishjam() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(SUBSCRIBED)
        await stay(socket)

    _, error = events_until_the_end(script)
    assert isinstance(error, ProtocolError)
    assert "not authenticated" in str(error)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HANDSHAKE_TIMEOUT", 0.1)
    _, error = events_until_the_end(stay)
    assert isinstance(error, SessionLostError)


def test_a_notifier_shows_no_token() -> None:
    assert "secret" not in repr(FishjamNotifier("http://localhost:1", "secret"))
