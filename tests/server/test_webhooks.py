"""Webhooks: the same notifications as on the socket, posted in order, signed, retried, in batches."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import RoomConfig

from .conftest import Client, Serve, read_notification, receiver

LIFE = ["room_created", "peer_added", "peer_connected", "peer_disconnected", "peer_deleted", "room_deleted"]


def test_a_rooms_life_is_posted_in_the_order_of_the_socket(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook, client.notifications() as told:
            room_id = await client.room(webhookUrl=hook.url)
            caller = await client.server.add_caller(room_id)
            await client.peer(await client.room())
            await client.http.delete(f"/room/{room_id}")
            on_socket: list[tuple[str, Any]] = []
            while not on_socket or on_socket[-1][0] != "room_deleted":
                name, message = await anext(told)
                if message.room_id == room_id:
                    on_socket.append((name, message))
            await hook.until(lambda: len(hook.requests) == len(on_socket))
            assert hook.told() == on_socket
            assert hook.most_at_once == 1
            assert [name for name, _ in on_socket if name in LIFE] == LIFE
            assert on_socket[1][1].peer_id == caller.id
            headers, _ = hook.requests[0]
            assert headers["content-type"] == "application/x-protobuf"

    serve(scenario)


def test_every_webhook_is_signed(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            await client.room(webhookUrl=hook.url)
            await hook.until(lambda: hook.requests)
            headers, body = hook.requests[0]
            digest = hmac.new(b"our secret", body, hashlib.sha256).hexdigest()
            assert headers["x-fishjam-signature-256"] == f"sha256={digest}"

    serve(scenario, webhook_secret="our secret")


def test_a_batch_holds_what_happened_in_order(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            room_id = await client.room(webhookUrl=hook.url, batchWebhookNotifications=True)
            await client.peer(room_id)
            await client.http.delete(f"/room/{room_id}")
            await hook.until(lambda: hook.requests and hook.told()[-1][0] == "room_deleted")
            names = [name for name, _ in hook.told()]
            assert names == ["room_created", "peer_added", "peer_deleted", "room_deleted"]
            assert {read_notification(body)[0] for _, body in hook.requests} == {"notification_batch"}
            assert len(hook.requests) < len(names)

    serve(scenario)


def test_a_server_error_is_tried_again_before_anything_else_is_posted(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            hook.statuses = [500, 503]
            room_id = await client.room(webhookUrl=hook.url)
            await client.http.delete(f"/room/{room_id}")
            await hook.until(lambda: len(hook.requests) == 4)
            names = [name for name, _ in hook.told()]
            assert names == ["room_created", "room_created", "room_created", "room_deleted"]
            await hook.until(lambda: client.server.webhooks.delivered == 2)
            assert client.server.webhooks.failed == 0

    serve(scenario)


def test_a_client_error_and_a_redirect_are_not_tried_again(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            hook.statuses = [404, 302]
            room_id = await client.room(webhookUrl=hook.url)
            await client.peer(room_id)
            await client.http.delete(f"/room/{room_id}")
            await hook.until(lambda: len(hook.requests) == 4)
            await hook.until(lambda: client.server.webhooks.delivered == 2)
            assert client.server.webhooks.failed == 2

    serve(scenario)


def test_an_endpoint_that_is_not_there_is_given_up_and_the_next_message_tried(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents.server.webhooks.BACKOFF_SECONDS", 0.001)

    async def scenario(client: Client) -> None:
        long = "x" * 70
        for url in (
            "http://127.0.0.1:1/hook",
            "gopher://127.0.0.1/",
            f"http://{long}.invalid/",
            "http://a b/",
        ):
            before = client.server.webhooks.failed
            if url.startswith("http://127"):
                room_id = await client.room(webhookUrl=url)
                await client.http.delete(f"/room/{room_id}")
                expected = 2
            else:
                client.server.webhook_url = url
                await client.room()
                expected = 1
            while client.server.webhooks.failed < before + expected:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.005)
        assert client.server.webhooks.delivered == 0

    serve(scenario)


def test_rooms_do_not_wait_for_each_other(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as slow, receiver() as quick:
            slow.hold = asyncio.Event()
            await client.room(webhookUrl=slow.url)
            await slow.until(lambda: slow.requests)
            room_id = await client.room(webhookUrl=quick.url)
            await client.http.delete(f"/room/{room_id}")
            await quick.until(lambda: len(quick.requests) == 2)
            slow.hold.set()
            await slow.until(lambda: client.server.webhooks.delivered == 3)

    serve(scenario)


def test_a_slow_endpoint_loses_the_oldest_and_it_is_counted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents.server.webhooks.QUEUE_MESSAGES", 3)

    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            hook.hold = asyncio.Event()
            room_id = await client.room(webhookUrl=hook.url)
            await hook.until(lambda: hook.requests)
            for _ in range(4):
                await client.peer(room_id)
            await client.http.delete(f"/room/{room_id}")
            hook.hold.set()
            await hook.until(lambda: client.server.webhooks.delivered == 4)
            names = [name for name, _ in hook.told()]
            assert names == ["room_created", "peer_deleted", "peer_deleted", "room_deleted"]
            assert client.server.webhooks.dropped == 6

    serve(scenario)


def test_the_servers_own_webhook_gets_what_has_no_other_address(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as own, receiver() as common:
            client.server.webhook_url = common.url
            await client.room(webhookUrl=own.url)
            await client.room()
            source = {"compositionURL": "http://rtc/composition/1", "outputId": "main"}
            await client.http.post("/recordings", json={"source": source})
            await common.until(lambda: len(common.requests) == 2)
            assert {name for name, _ in common.told()} == {"room_created", "recording_status_changed"}
            await own.until(lambda: own.requests)

    serve(scenario)


def test_a_failure_is_logged_without_what_may_be_secret(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Client) -> None:
        async with receiver() as hook:
            hook.statuses = [403]
            url = hook.url.replace("http://", "http://user:word@") + "?key=treasure"
            await client.room(webhookUrl=url)
            await hook.until(lambda: client.server.webhooks.failed)
            assert hook.url.removeprefix("http://") in caplog.text
            assert "HTTP 403" in caplog.text

    with caplog.at_level("WARNING"):
        serve(scenario)
    assert "treasure" not in caplog.text
    assert "word" not in caplog.text


def test_stopping_delivers_what_it_can_and_leaves_no_task() -> None:
    async def scenario() -> None:
        async with receiver() as quick, receiver() as slow:
            slow.hold = asyncio.Event()
            async with EmbeddedServer() as server:
                for hook in (quick, slow):
                    server.rooms.create(_config(hook.url))
                await slow.until(lambda: slow.requests)
                for room in server.rooms:
                    server.rooms.delete(room.id)
            assert [name for name, _ in quick.told()] == ["room_created", "room_deleted"]
            assert len(slow.requests) == 1
            left = {task for task in asyncio.all_tasks() if "answer" not in repr(task)}
            assert left == {asyncio.current_task()}
            slow.hold.set()
            async with server:
                server.rooms.create(_config(quick.url))
                await quick.until(lambda: len(quick.requests) == 3)

    async def main() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(main())


def _config(url: str) -> RoomConfig:
    return RoomConfig(webhook_url=url)
