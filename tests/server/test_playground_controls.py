"""Controls that people may use on the playground, guests among them, and what they take away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.server.playground import Controls
from fishjam_agents.server.playground import registry as registry_module
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType

from .conftest import Client, Serve
from .playground import bearer, guest_token, page, registered, told


def test_who_shares_a_link_with_others_says_who_writes(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        answer = await client.http.post("/playground/guest", headers=bearer(shown.token))
        tokens = (shown.token, shown.token, guest_token(answer))
        joins = [await client.http.post("/playground/join", headers=bearer(token)) for token in tokens]
        first, last, guest = (joined.json()["peer_id"] for joined in joins)
        async with page(client, shown.token) as socket:
            await told(socket, "hello")
            for named in (first, last, guest, "", None, [first]):
                await socket.send(json.dumps({"type": "text", "text": "x", "peer": named}))
            while len(call.asked) < 6:  # noqa: ASYNC110 - the call is asked without a word back
                await asyncio.sleep(0.005)
        assert [asked[1] for asked in call.asked] == [first, last, last, last, last, last]

    serve(scenario)


def test_what_is_written_reaches_the_bot_as_the_words_of_who_joined(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        async with page(client, shown.token) as socket:
            await told(socket, "hello")
            await socket.send(json.dumps({"type": "text", "text": " before \ud800 joining "}))
            joined = await client.http.post("/playground/join", headers=bearer(shown.token))
            while not call.asked:  # noqa: ASYNC110 - the call is asked without a word back
                await asyncio.sleep(0.005)
            await socket.send(json.dumps({"type": "text", "text": "after"}))
            await socket.send(json.dumps({"type": "interrupt"}))
            while len(call.asked) < 3:  # noqa: ASYNC110 - the call is asked without a word back
                await asyncio.sleep(0.005)
        assert call.asked == [("before ? joining", None), ("after", joined.json()["peer_id"]), "interrupt"]

    serve(scenario)


@pytest.mark.parametrize("text", ["", "   ", None, 7, ["a"], "x" * 4001])
def test_a_text_that_is_none_is_refused_in_words(serve: Serve, text: Any) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        async with page(client, shown.token) as socket:
            await socket.send(json.dumps({"type": "text", "text": text}))
            assert "text" in (await told(socket, "error"))["message"]
            await socket.send(json.dumps({"type": "text", "text": "hello"}))
            while not call.asked:  # noqa: ASYNC110 - the call is asked without a word back
                await asyncio.sleep(0.005)
        assert call.asked == [("hello", None)]

    serve(scenario)


def test_what_the_bot_cannot_do_is_said_in_words(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client, controls=Controls())
        async with page(client, shown.token) as socket:
            assert set((await told(socket, "hello"))["controls"].values()) == {False}
            await socket.send('{"type": "text", "text": "hello"}')
            assert (await told(socket, "error"))["message"] == "this bot takes no text"
            await socket.send('{"type": "interrupt"}')
            assert "cannot be interrupted" in (await told(socket, "error"))["message"]
        call, shown = await registered(client)
        call.refuses = "the bot is not connected yet"
        async with page(client, shown.token) as socket:
            await socket.send('{"type": "text", "text": "hello"}')
            assert (await told(socket, "error"))["message"] == "the bot is not connected yet"

    serve(scenario)


def test_a_guest_joins_and_watches_and_controls_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        answer = await client.http.post("/playground/guest", headers=bearer(shown.token))
        assert answer.json()["link"].startswith(f"{client.server.url}/#call=")
        guest = guest_token(answer)
        assert guest != shown.token
        assert (await client.http.post("/playground/join", headers=bearer(guest))).status_code == 200
        assert (await client.http.get("/playground/report.html", headers=bearer(guest))).status_code == 200
        assert (await client.http.post("/playground/guest", headers=bearer(guest))).status_code == 403
        async with page(client, guest) as socket:
            hello = await told(socket, "hello")
            assert hello["guest"] is True
            assert hello["controls"] == {
                "push_to_talk": True,
                "text": False,
                "interrupt": False,
                "camera": True,
            }
            for message in ('{"type": "interrupt"}', '{"type": "text", "text": "hello"}'):
                await socket.send(message)
                assert "guest link" in (await told(socket, "error"))["message"]
        assert call.asked == []

    serve(scenario)


@pytest.mark.parametrize(
    ("host", "origin", "kept"),
    [
        ("bot.example.org", "https://bot.example.org", True),
        ("bot.example.org:8443", "https://bot.example.org:8443", True),
        ("bot.example.org", "http://localhost:5173", False),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", False),
        ("bot.example.org", None, False),
    ],
)
def test_a_guest_is_sent_where_the_page_was_opened_if_others_can_open_it(
    serve: Serve, host: str, origin: str | None, kept: bool
) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        headers = {"host": host.format(port=client.server.port), **bearer(shown.token)}
        if origin is not None:
            headers["origin"] = origin.format(port=client.server.port)
        answer = await client.http.post("/playground/guest", headers=headers)
        address = headers["origin"] if kept else client.server.public_urls[0]
        assert answer.json()["link"].startswith(f"{address}/#call=")

    serve(
        scenario,
        allowed_hosts=("bot.example.org", "bot.example.org:8443"),
        allowed_origins=("http://localhost:5173",),
    )


def test_guest_links_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        codes = [
            (await client.http.post("/playground/guest", headers=bearer(shown.token))).status_code
            for _ in range(3)
        ]
        assert codes == [200, 200, 429]

    monkeypatch.setattr(registry_module, "MAX_GUEST_LINKS", 2)
    serve(scenario)


def test_report_and_record_are_downloads_that_are_no_pages_of_the_server(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        shown.publish({"at": 0, "kind": "call_started"})
        await client.http.post("/playground/join", json={"name": "Ada"}, headers=bearer(shown.token))
        await client.peer(shown.source.room_id, metadata={"displayName": " Bob\u0000 "})
        peer_id, _ = await client.peer(shown.source.room_id)
        room = client.server.rooms.get(shown.source.room_id)
        room.update_peer_metadata(room.peers[peer_id], {"displayName": 7, "username": "Cleo"})
        room.update_peer_metadata(room.add_peer(PeerConfig(PeerType.WEBRTC)), ["no", "names"])
        report = await client.http.get("/playground/report.html", headers=bearer(shown.token))
        record = await client.http.get("/playground/call.jsonl", headers=bearer(shown.token))
        assert report.text == "report of 1 for ['Ada', 'Bob', 'Cleo']"
        assert record.text == '{"end": 1.0}\n'
        for answer, name in ((report, "report.html"), (record, "call.jsonl")):
            assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
            assert answer.headers["content-security-policy"].startswith("sandbox")
            assert answer.headers["cache-control"] == "no-store"

    serve(scenario)


def test_one_report_is_made_at_a_time_and_ends_with_the_server(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        begun, ended = asyncio.Event(), asyncio.Event()

        async def endless(*arguments: object) -> bytes:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return b""

        call.report = endless  # type: ignore[method-assign]
        asked = asyncio.create_task(client.http.get("/playground/report.html", headers=bearer(shown.token)))
        await begun.wait()
        again = await client.http.get("/playground/report.html", headers=bearer(shown.token))
        assert again.status_code == 429
        await client.server.stop()
        assert ended.is_set()
        await asyncio.gather(asked, return_exceptions=True)

    serve(scenario)


@pytest.mark.parametrize(
    ("error", "status"), [(FishjamAgentsError("no process for it"), 500), (TimeoutError(), 503)]
)
def test_a_report_that_cannot_be_made_says_why(serve: Serve, error: Exception, status: int) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)

        async def failing(*arguments: object) -> bytes:
            raise error

        call.report = failing  # type: ignore[method-assign]
        for _ in range(2):
            answer = await client.http.get("/playground/report.html", headers=bearer(shown.token))
            assert answer.status_code == status
            assert str(error) in answer.json()["errors"]

    serve(scenario)
