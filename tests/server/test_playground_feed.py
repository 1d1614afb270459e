"""Events that pages of the playground are told, and when."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
import websockets

from fishjam_agents.server.playground import feed as feed_module
from fishjam_agents.server.playground import registry as registry_module
from fishjam_agents.server.playground import socket as socket_module

from .conftest import Client, Serve, closing
from .playground import page, registered, told


def test_a_page_is_told_the_past_and_then_the_present_each_event_once(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        for n in range(50):
            shown.publish({"at": n, "kind": "before"})
        async with page(client, shown.token) as socket:
            seen: list[int] = []
            # Events come in the same turn of the loop in which the page is let in, and before and after it.
            for n in range(50, 150):
                call.time = float(n)
                shown.publish({"at": n, "kind": "during"})
                if n % 3 == 0:
                    await asyncio.sleep(0)
            hello = await told(socket, "hello")
            assert hello["call"] == {
                "id": "1a2b3c4d",
                "room": call.room_id,
                "bot_peer": "bot",
                "bot": "Bot",
            }
            assert hello["controls"] == {
                "push_to_talk": True,
                "text": True,
                "interrupt": True,
                "camera": True,
            }
            assert hello["dropped"] == 0
            seen += [event["at"] for event in hello["events"]]
            while len(seen) < 150:
                message = await told(socket, "events")
                assert message["now"] >= message["events"][0]["at"]
                seen += [event["at"] for event in message["events"]]
            assert seen == list(range(150))

    serve(scenario)


def test_every_turn_of_the_loop_may_be_the_one_in_which_a_page_comes(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)

        async def publish() -> None:
            for n in range(400):
                shown.publish({"at": n, "kind": "tick"})
                await asyncio.sleep(0.001)

        async def watch(delay: float) -> list[int]:
            await asyncio.sleep(delay)
            async with page(client, shown.token) as socket:
                seen = [event["at"] for event in (await told(socket, "hello"))["events"]]
                while not seen or seen[-1] < 399:
                    seen += [event["at"] for event in (await told(socket, "events"))["events"]]
                return seen

        publishing = asyncio.create_task(publish())
        watched = await asyncio.gather(*(watch(0.013 * n) for n in range(20)))
        await publishing
        assert all(seen == list(range(400)) for seen in watched)

    serve(scenario)


@pytest.mark.parametrize("words", ["x" * 100, "\u8a71" * 33], ids=["Latin", "Kanji"])
def test_the_history_is_bounded_and_says_what_it_lost(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        for n in range(1000):
            shown.publish({"at": n, "kind": "tick", "text": words})
        async with page(client, shown.token) as socket:
            hello = await told(socket, "hello")
        # Bytes are counted, of which a word may have three for each letter.
        assert 60 < len(hello["events"]) < 75
        assert hello["dropped"] + len(hello["events"]) == 1000
        assert hello["events"][-1]["at"] == 999

    monkeypatch.setattr(feed_module, "MAX_HISTORY_BYTES", 10_000)
    serve(scenario)


def test_what_is_no_unicode_spoils_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        shown.publish({"at": 0, "kind": "reply_text", "text": "half \ud83d of it"})
        async with page(client, shown.token) as socket:
            hello = await told(socket, "hello")
            assert hello["events"][0]["text"] == "half \ud83d of it"

    serve(scenario)


def test_a_page_is_told_the_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        call.time = 12.3456
        async with page(client, shown.token) as socket:
            assert await told(socket, "clock") == {"type": "clock", "now": 12.346}

    monkeypatch.setattr(registry_module, "CLOCK_SECONDS", 0.02)
    serve(scenario)


def test_a_slow_page_is_told_so_and_dropped_and_nobody_else_notices(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        url = client.server.url.replace("http", "ws", 1)
        slow = await websockets.connect(f"{url}/playground/events", compression=None, max_queue=1)
        await slow.send(json.dumps({"type": "auth", "token": shown.token}))
        await told(slow, "hello")
        async with page(client, shown.token) as brisk:
            await told(brisk, "hello")
            text = "x" * 50_000
            count = 0
            # The kernel's buffers take megabytes before anything waits in the server.
            while shown.feed.viewers == 2:
                shown.publish({"at": count, "kind": "reply_text", "text": text})
                assert (await told(brisk, "events"))["events"][0]["at"] == count
                count += 1
            assert shown.feed.viewers == 1
            shown.publish({"at": -1, "kind": "still here"})
            assert (await told(brisk, "events"))["events"][0]["kind"] == "still here"
        assert "reads too slowly" in (await told(slow, "error"))["message"]
        assert await closing(slow) == (4408, "reads too slowly")

    monkeypatch.setattr(socket_module, "VIEWER_BACKLOG_BYTES", 200_000)
    serve(scenario)


def test_twenty_pages_see_the_same(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)

        async def watch() -> list[int]:
            async with page(client, shown.token) as socket:
                seen = [event["at"] for event in (await told(socket, "hello"))["events"]]
                ready.release()
                while len(seen) < 200:
                    seen += [event["at"] for event in (await told(socket, "events"))["events"]]
                return seen

        ready = asyncio.Semaphore(0)
        watching = [asyncio.create_task(watch()) for _ in range(20)]
        for _ in watching:
            await ready.acquire()
        for n in range(200):
            shown.publish({"at": n, "kind": "tick"})
            if n % 7 == 0:
                await asyncio.sleep(0)
        assert await asyncio.gather(*watching) == [list(range(200))] * 20
        while shown.feed.viewers:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.01)

    serve(scenario)


def test_a_page_too_many_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        async with page(client, shown.token) as first:
            await told(first, "hello")
            async with page(client, shown.token) as second:
                assert (await closing(second))[0] == 4429

    monkeypatch.setattr(socket_module, "MAX_VIEWERS", 1)
    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("no json", 4400),
        ("[1]", 4400),
        ('{"type": "shutdown"}', 4400),
        ('{"type": ["text"]}', 4400),
        (b"\x00\x01", 4400),
        ('{"type": "text", "text": "' + "x" * 20_000 + '"}', 1009),
        (["x"] * 3000, 1009),
    ],
)
def test_a_page_that_sends_garbage_is_closed_alone(serve: Serve, sent: Any, code: int) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        async with page(client, shown.token) as other:
            await told(other, "hello")
            async with page(client, shown.token) as socket:
                await told(socket, "hello")
                with suppress(websockets.ConnectionClosed):
                    await socket.send(sent)
                assert (await closing(socket))[0] in (code, 1008)
            shown.publish({"at": 1, "kind": "tick"})
            await told(other, "events")
        assert call.asked == []

    serve(scenario)


def test_a_flood_of_messages_is_cut_off(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        async with page(client, shown.token) as socket:
            await told(socket, "hello")
            for _ in range(100):
                await socket.send('{"type": "interrupt"}')
            assert (await closing(socket))[0] == 4429
        assert len(call.asked) == socket_module.MAX_MESSAGES

    serve(scenario)
