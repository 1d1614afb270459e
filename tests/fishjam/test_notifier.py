from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from fishjam_agents.errors import ProtocolError, SessionError
from fishjam_agents.fishjam import (
    Backoff,
    Disconnected,
    FishjamNotifier,
    NotifierAuthError,
    Reconnected,
    SessionClosedError,
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
QUICK = Backoff(first=0.01, longest=0.02)
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


def with_notifier(
    script: Script, scenario: Callable[[FishjamNotifier], Awaitable[Any]], **options: Any
) -> Any:
    """Run `scenario` with a notifier of a server that follows `script`."""

    async def run() -> Any:
        async with asyncio.timeout(10), websocket_server(script) as url:
            return await scenario(FishjamNotifier(url, "secret", backoff=QUICK, **options))

    return asyncio.run(run())


async def tell_both_and_break(socket: ServerConnection) -> None:
    await admit(socket)
    await socket.send(encode(CREATED))
    await socket.send(encode(DELETED))
    await socket.close(1011, "crash")


async def tell_both_and_stay(socket: ServerConnection) -> None:
    await admit(socket)
    await socket.send(encode(CREATED))
    await socket.send(encode(DELETED))
    await stay(socket)


def test_connect_runs_until_the_connection_ends_and_everything_received_was_handled_by_then() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        seen: list[str] = []

        @notifier.on_server_notification
        async def slow(notification: object) -> None:
            await asyncio.sleep(0.02)
            seen.append(f"slow {type(notification).__name__}")

        @notifier.on_server_notification
        def quick(notification: object) -> None:
            seen.append(f"quick {type(notification).__name__}")

        @notifier.on(n.ServerMessageRoomDeleted)
        def deleted(notification: object) -> None:
            seen.append(f"deleted {type(notification).__name__}")

        connection = asyncio.create_task(notifier.connect())
        await notifier.wait_ready()
        with pytest.raises(SessionLostError, match="1011, crash"):
            await connection
        assert seen == [
            "slow ServerMessageRoomCreated",
            "quick ServerMessageRoomCreated",
            "slow ServerMessageRoomDeleted",
            "quick ServerMessageRoomDeleted",
            "deleted ServerMessageRoomDeleted",
        ]
        assert not notifier.is_connected

    with_notifier(tell_both_and_break, scenario)


def test_a_supervisor_may_connect_again_and_is_told_that_it_did() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        seen: list[object] = []
        notifier.on(Disconnected, Reconnected, n.ServerMessageRoomCreated)(seen.append)
        for _ in range(2):
            with pytest.raises(SessionLostError):
                await notifier.connect()
        kinds = [n.ServerMessageRoomCreated, Disconnected]
        assert [type(event) for event in seen] == [*kinds, Reconnected, *kinds]

    with_notifier(tell_both_and_break, scenario)


def test_without_anybody_to_tell_it_does_not_connect() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        with pytest.raises(RuntimeError, match="has no handler"):
            await notifier.connect()

    with_notifier(stay, scenario)


def test_it_connects_once_at_a_time() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        async with notifier:
            with pytest.raises(RuntimeError, match="is connected already"):
                await notifier.connect()

    with_notifier(tell_both_and_stay, scenario)


def test_with_reconnect_it_comes_back_and_says_for_how_long_it_was_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        async with notifier:
            kinds = []
            async for event in notifier.events():
                kinds.append(type(event))
                if isinstance(event, Reconnected):
                    assert event.outage > 0
                    assert event.attempts == 1
                    if kinds.count(Reconnected) == 2:
                        break
        told = [n.ServerMessageRoomCreated, n.ServerMessageRoomDeleted, Disconnected, Reconnected]
        assert kinds == told * 2

    with_notifier(tell_both_and_break, scenario, reconnect=True)
    assert "next attempt in" in caplog.text


def test_a_refused_token_is_not_tried_again() -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(1000, "invalid token")

    async def scenario(notifier: FishjamNotifier) -> None:
        notifier.on_server_notification(print)
        with pytest.raises(NotifierAuthError):
            await notifier.connect()

    with_notifier(script, scenario, reconnect=True)


def test_a_handler_that_fails_is_logged_and_the_loop_lives(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        seen: list[object] = []

        @notifier.on_server_notification
        def broken(notification: object) -> None:
            seen.append(notification)
            raise ValueError("a mistake")

        with pytest.raises(SessionLostError):
            await notifier.connect()
        assert len(seen) == 2

    with_notifier(tell_both_and_break, scenario)
    assert caplog.text.count("ValueError: a mistake") == 2
    assert "the handler test_a_handler_that_fails" in caplog.text


def test_a_handler_that_waits_for_a_cancelled_task_does_not_end_the_notifier() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        seen: list[object] = []

        @notifier.on_server_notification
        async def waits(notification: object) -> None:
            seen.append(notification)
            task = asyncio.create_task(asyncio.sleep(10))
            task.cancel()
            await task

        with pytest.raises(SessionLostError):
            await notifier.connect()
        assert len(seen) == 2

    with_notifier(tell_both_and_break, scenario)


def test_close_lets_connect_return_and_iterations_end() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        stream = notifier.events()
        connection = asyncio.create_task(notifier.connect())
        assert await anext(stream) == CREATED.room_created
        await notifier.close()
        await notifier.close()
        await connection
        assert [event async for event in stream] in ([], [DELETED.room_deleted])
        assert not any(task.get_name().startswith("notifier") for task in asyncio.all_tasks())

    with_notifier(tell_both_and_stay, scenario)


def test_a_handler_may_close_the_notifier() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        seen: list[object] = []

        @notifier.on_server_notification
        async def leave(notification: object) -> None:
            await notifier.close()
            await asyncio.sleep(0.02)
            seen.append(notification)

        await notifier.connect()
        assert len(seen) == 1

    with_notifier(tell_both_and_stay, scenario)


def test_a_slow_reader_loses_the_oldest_events_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def script(socket: ServerConnection) -> None:
        await admit(socket)
        for number in range(50):
            created = n.ServerMessageRoomCreated(str(number))
            await socket.send(encode(ServerMessage(room_created=created)))
        await socket.close(1011)

    async def scenario(notifier: FishjamNotifier) -> None:
        stream = notifier.events()
        with pytest.raises(SessionLostError):
            await notifier.connect()
        rooms = [(await anext(stream)).room_id for _ in range(10)]
        with pytest.raises(SessionLostError):
            await anext(stream)
        assert rooms == [str(number) for number in range(40, 50)]
        assert stream.dropped == 40

    with_notifier(script, scenario, queue_limit=10)
    assert "the oldest are dropped" in caplog.text
    assert "40 events were dropped" in caplog.text


def test_a_listener_of_one_room_is_told_of_that_room_only() -> None:
    async def scenario(notifier: FishjamNotifier) -> None:
        here: list[object] = []
        elsewhere: list[object] = []
        end = notifier.subscribe(elsewhere.append, "elsewhere")
        notifier.subscribe(here.append, "room")
        with pytest.raises(SessionLostError):
            await notifier.connect()
        assert [type(event) for event in elsewhere] == [Disconnected]
        assert [type(event) for event in here][:2] == [n.ServerMessageRoomCreated, n.ServerMessageRoomDeleted]
        end()
        end()

    with_notifier(tell_both_and_break, scenario)


def test_a_goodbye_of_the_server_is_told_from_a_loss() -> None:
    async def script(socket: ServerConnection) -> None:
        await admit(socket)
        await socket.close(1000, "bye")

    _, error = events_until_the_end(script)
    assert isinstance(error, SessionClosedError)
