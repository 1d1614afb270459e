"""Work of the server that fails: told where it happened, and nothing else ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import Clip
from fishjam_agents.server.tasks import Tasks

from .conftest import Client, Serve, receiver

DEEP = b'{"a":' * 100_000


@asynccontextmanager
async def vapi(answer: bytes) -> AsyncIterator[str]:
    """What answers every request with `answer`; its URL."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _until(told: AsyncIterator[tuple[str, Any]], wanted: str) -> Any:
    async for name, message in told:
        if name == wanted:
            return message
    raise AssertionError(f"{wanted} was not told")


@pytest.mark.parametrize(
    "answer",
    [
        *(
            json.dumps({"transport": {"websocketCallUrl": url}}).encode()
            for url in (
                "ws://[bad",
                "ws://127.0.0.1:99999/",
                "ws://127.0.0.1:x/",
                f"ws://{'a' * 70}.example/",
                "ws://a..b/",
                "ws://\udcff/",
                "http://127.0.0.1/",
                "ws://user@/",
                "",
            )
        ),
        json.dumps({"transport": [1]}).encode(),
        DEEP,
        b"\xff",
    ],
    ids=lambda answer: answer[-30:].decode("latin-1"),
)
def test_a_bad_vapi_call_ends_itself_alone(
    serve: Serve, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents.server.vapi_call.FAILURE_SECONDS", 0.0)

    async def scenario(client: Client) -> None:
        async with vapi(answer) as url, receiver() as hook, client.notifications() as told:
            client.server._calls._url = url
            room_id = await client.room(webhookUrl=hook.url)
            peer_id, _ = await client.peer(room_id, "vapi", apiKey="secret-key", callId="c1")
            message = await _until(told, "peer_crashed")
            assert message.peer_id == peer_id
            assert message.reason.startswith("cannot join the VAPI call c1: ")
            assert "secret-key" not in message.reason
            # Webhooks and recordings live on.
            await hook.until(lambda: "peer_crashed" in hook.kinds())
            other = await client.room(webhookUrl=hook.url)
            await client.http.delete(f"/room/{other}")
            await hook.until(lambda: "room_deleted" in hook.kinds())
            body = {"source": {"compositionURL": "https://rtc.example/c", "outputId": "o"}}
            recording = (await client.http.post("/recordings", json=body)).json()["data"]["id"]
            await client.http.post(f"/recordings/{recording}/stop")
            while (await _until(told, "recording_status_changed")).status != 3:
                pass

    serve(scenario)


def test_work_that_fails_is_logged_with_its_name_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        tasks, done = Tasks(), asyncio.Event()

        async def succeed() -> None:
            await asyncio.sleep(0.01)
            done.set()

        tasks.start()
        tasks.spawn(succeed(), "the good")
        tasks.spawn(fail(), "the bad")
        await done.wait()
        tasks.spawn(succeed(), "the late")
        await tasks.stop(1.0)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(scenario())
    (record,) = caplog.records
    assert record.message == "the bad failed; everything else goes on"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_room_that_fails_does_not_stop_the_others(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(client: Client) -> None:
        broken, whole = await client.room(), await client.room()
        await client.server.add_caller(broken)
        caller = await client.server.add_caller(whole, Clip(np.full(8000, 7, np.int16), 16000))
        monkeypatch.setattr(client.server.rooms.get(broken)._fanout, "tick", lambda *_: 1 / 0)
        recorder = client.server.record(whole)
        await client.server.clock.wait_until(client.server.clock.position + 0.5)
        assert caller.microphone.last_window > 0
        assert recorder.stop(client.server.clock.position).seconds >= 0.5

    serve(scenario)
    # Fifty times a second, said once.
    assert len([record for record in caplog.records if "lost a window" in record.message]) == 1
