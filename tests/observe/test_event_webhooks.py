"""Events of calls at a real receiver: chosen, signed, in order, again while it is away."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fishjam_agents import events
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.config import load_config
from fishjam_agents.errors import ConfigError, SettingError
from fishjam_agents.observe import event_webhooks
from fishjam_agents.observe.event_webhooks import EventWebhooks
from fishjam_agents.observe.settings import WebhookSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.signed_post import SIGNATURE


class Receiver:
    """An HTTP server that notes what is posted."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self.stuck: asyncio.Event | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body)["event"] for _, body in self.posts]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                if self.stuck is not None:
                    await self.stuck.wait()
                status = self.answers.pop(0) if self.answers else 204
                if status < 300:
                    self.posts.append((headers, body))
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with asyncio.timeout(20):
        try:
            yield found
        finally:
            server.close()


def bot() -> AgentPipeline:
    made = AgentPipeline()
    made.backend = Parrot()
    return made


def tell(pipeline: AgentPipeline, *stream: events.Event) -> None:
    for event in stream:
        for observer in pipeline.observers:
            observer(event)


def test_chosen_events_are_posted_in_order_and_signed() -> None:
    async def scenario() -> None:
        async with receiver() as found:
            webhooks = EventWebhooks(
                [WebhookSettings(found.url, "s3cret", ("call_started", "user_transcript"))]
            )
            pipeline = bot()
            webhooks.observe(pipeline, "room-1", "clerk")
            said = [events.UserTranscript(f"word {number}", True, "ann", at=number) for number in range(20)]
            tell(pipeline, events.CallStarted(0.0), events.PeerJoined(0.1, "ann"), *said[:10])
            await asyncio.sleep(0.2)
            tell(pipeline, *said[10:])
            await webhooks.close()
        assert [event["kind"] for event in found.events] == ["call_started", *["user_transcript"] * 20]
        assert [event["text"] for event in found.events[1:]] == [f"word {number}" for number in range(20)]
        for headers, body in found.posts:
            digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
            assert headers[SIGNATURE] == f"sha256={digest}"
        body = json.loads(found.posts[0][1])
        assert (body["room"], body["bot"]) == ("room-1", "clerk")
        assert len({json.loads(body)["id"] for _, body in found.posts}) == 21

    asyncio.run(scenario())


def test_a_receiver_that_is_away_gets_them_later_and_each_once() -> None:
    async def scenario() -> None:
        async with receiver() as found:
            found.answers = [503, 429, 204]
            webhooks = EventWebhooks([WebhookSettings(found.url, events=("peer_joined",))])
            pipeline = bot()
            webhooks.observe(pipeline, "room-1")
            tell(pipeline, events.PeerJoined(0.1, "ann"), events.PeerJoined(0.2, "bob"))
            await webhooks.close()
        assert [event["peer"] for event in found.events] == ["ann", "bob"]
        assert SIGNATURE not in found.posts[0][0]

    asyncio.run(scenario())


def test_a_receiver_that_refuses_is_told_of_once_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with receiver() as found:
            found.answers = [400] * 3
            url = found.url.replace("http://", "http://me:hidden@") + "?token=hidden"
            webhooks = EventWebhooks([WebhookSettings(url, events=("peer_joined",))])
            pipeline = bot()
            webhooks.observe(pipeline, "room-1")
            tell(pipeline, *(events.PeerJoined(0.1, name) for name in ("ann", "bob", "eve")))
            await webhooks.close()

    asyncio.run(scenario())
    (record,) = [record for record in caplog.records if record.name.startswith("fishjam_agents")]
    assert record.getMessage().startswith("3 events were not taken by http://***@127.0.0.1:")
    assert record.getMessage().endswith("it answered 400")
    assert "hidden" not in record.getMessage()
    assert vars(record)["room"] == "room-1"


def test_a_receiver_that_hangs_costs_bounded_memory_and_a_bounded_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_webhooks, "CLOSE_DEADLINE", 0.3)

    async def scenario() -> None:
        async with receiver() as found:
            found.stuck = asyncio.Event()
            webhooks = EventWebhooks([WebhookSettings(found.url, events=("peer_joined",))])
            pipeline = bot()
            webhooks.observe(pipeline, "room-1")
            for number in range(5000):
                tell(pipeline, events.PeerJoined(number, "ann"))
            await asyncio.sleep(0.1)
            await webhooks.close()
            assert not webhooks._tasks
            found.stuck.set()

    asyncio.run(scenario())
    (record,) = [record for record in caplog.records if record.name.startswith("fishjam_agents")]
    assert "5000 events were not taken" in record.getMessage()


def test_settings_that_cannot_be_used_are_refused(tmp_path: Any) -> None:
    with pytest.raises(SettingError, match="must be an http or https URL"):
        WebhookSettings("ftp://somewhere")
    config = tmp_path / "config.yaml"
    config.write_text(
        "agent: {backend: {type: parrot}}\n"
        "observe:\n"
        "  webhooks:\n"
        "    - {url: https://example.org, events: [call_start]}\n"
    )
    with pytest.raises(
        ConfigError, match=r"config\.yaml:4: observe\.webhooks.*'call_start', which no event is.*call_started"
    ):
        load_config(config)
