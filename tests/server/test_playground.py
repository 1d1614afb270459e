"""The playground over real sockets: who is let in, what pages are told and when, what they may do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import websockets

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.server.playground import Controls, RegisteredCall
from fishjam_agents.server.playground import feed as feed_module
from fishjam_agents.server.playground import registry as registry_module
from fishjam_agents.server.playground import socket as socket_module
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType

from .conftest import Client, Serve, closing
from .sockets import peer_auth

ALL = Controls(push_to_talk=True, text=True, interrupt=True, camera=True)


class ShownCall:
    """A call of a bot that only notes what it is asked for."""

    def __init__(self, room_id: str, controls: Controls = ALL) -> None:
        self.id: str | None = "1a2b3c4d"
        self.room_id = room_id
        self.bot_peer = "bot"
        self.bot = "Bot"
        self.controls = controls
        self.asked: list[Any] = []
        self.time = 0.0
        self.refuses: str | None = None

    def now(self) -> float:
        return self.time

    def submit_text(self, text: str, peer: str | None) -> None:
        if self.refuses is not None:
            raise FishjamAgentsError(self.refuses)
        self.asked.append((text, peer))

    def interrupt(self) -> None:
        self.asked.append("interrupt")

    async def report(self, events: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> bytes:
        return f"report of {len(events)} for {sorted(names.values())}".encode()

    def record(self) -> str:
        return '{"end": 1.0}\n'


async def registered(client: Client, **options: Any) -> tuple[ShownCall, RegisteredCall]:
    call = ShownCall(await client.room(), **options)
    return call, client.server.playground.register(call)


def events_socket(client: Client) -> websockets.connect:
    url = client.server.url.replace("http", "ws", 1)
    return websockets.connect(f"{url}/playground/events", compression=None, max_size=None)


@asynccontextmanager
async def page(client: Client, token: str) -> Any:
    async with events_socket(client) as socket:
        await socket.send(json.dumps({"type": "auth", "token": token}))
        yield socket


async def told(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind; those before it are skipped."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def guest_token(answer: httpx.Response) -> str:
    link: str = answer.json()["link"]
    return link.partition("#call=")[2]


def test_the_page_is_served_with_headers_that_let_nothing_else_in(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with httpx.AsyncClient(base_url=client.server.url) as stranger:
            answers = [await stranger.get(path) for path in ("/", "/playground/index.html")]
        for answer in answers:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
        assert answers[0].text == answers[1].text

    serve(scenario)


@pytest.mark.parametrize(
    "path",
    ["../pages.py", "..%2Fpages.py", "%2e%2e/pages.py", "nothing.js", "", "__init__.py", "static/index.html"],
)
def test_only_files_of_the_page_are_served(serve: Serve, path: str) -> None:
    async def scenario(client: Client) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
        # No client library: they all tidy the path up.
        host = f"127.0.0.1:{client.server.port}"
        writer.write(f"GET /playground/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 404")

    serve(scenario)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/playground/join"),
        ("POST", "/playground/guest"),
        ("GET", "/playground/report.html"),
        ("GET", "/playground/call.jsonl"),
    ],
)
def test_nothing_of_a_call_is_served_without_its_token(
    serve: Serve, method: str, path: str, given: str | None
) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        headers = {} if given is None else {"authorization": given.format(token=shown.token)}
        async with httpx.AsyncClient(base_url=client.server.url) as stranger:
            answer = await stranger.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert "call token refused" in answer.json()["errors"]
        assert not client.server.rooms.get(call.room_id).peers

    serve(scenario)


@pytest.mark.parametrize(
    "first",
    [
        '{"type": "auth", "token": "wrong"}',
        '{"type": "auth"}',
        '{"type": "auth", "token": 7}',
        '{"type": "text", "text": "hello"}',
        "[]",
        "no json",
        "",
        "[" * 3000,
    ],
)
def test_a_socket_without_a_token_is_closed_with_4401(serve: Serve, first: str) -> None:
    async def scenario(client: Client) -> None:
        await registered(client)
        async with events_socket(client) as socket:
            await socket.send(first)
            assert await closing(socket) == (4401, "call token refused")

    serve(scenario)


def test_a_page_that_says_nothing_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        async with events_socket(client) as socket:
            code, _ = await closing(socket)
            assert code == 4401

    monkeypatch.setattr(socket_module, "AUTH_SECONDS", 0.05)
    serve(scenario)


def test_who_joins_gets_a_token_of_a_peer_of_their_own(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        joined = []
        for name in (" Ada\n Lovelace ", None):
            body = {} if name is None else {"name": name}
            answer = await client.http.post("/playground/join", json=body, headers=bearer(shown.token))
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            joined.append(answer.json())
        room = client.server.rooms.get(call.room_id)
        assert [peer["peer_id"] for peer in joined] == list(room.peers)
        assert [peer["room_id"] for peer in joined] == [room.id, room.id]
        assert room.peers[joined[0]["peer_id"]].config.metadata == {"name": "Ada Lovelace"}
        async with client.socket("peer") as socket:
            await socket.send(peer_auth(joined[0]["peer_token"]))
            await socket.recv()
            assert room.peers[joined[0]["peer_id"]].connected
            assert not room.peers[joined[1]["peer_id"]].connected

    serve(scenario)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"name": 7}', b"\xff", b'{"name": "' + b"x" * 2_000_000 + b'"}']
)
def test_a_join_that_cannot_be_read_makes_no_peer(serve: Serve, body: bytes) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        answer = await client.http.post("/playground/join", content=body, headers=bearer(shown.token))
        assert answer.status_code in (400, 413)
        assert not client.server.rooms.get(call.room_id).peers

    serve(scenario)


def test_a_page_that_went_away_leaves_no_peer_behind(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        room = client.server.rooms.get(call.room_id)
        stays, goes = [
            (await client.http.post("/playground/join", headers=bearer(shown.token))).json() for _ in range(2)
        ]
        async with client.socket("peer") as socket:
            await socket.send(peer_auth(stays["peer_token"]))
            await socket.recv()
            while goes["peer_id"] in room.peers:  # noqa: ASYNC110 - the server has no event to wait for
                await asyncio.sleep(0.01)
            assert stays["peer_id"] in room.peers

    monkeypatch.setattr(registry_module, "CLOCK_SECONDS", 0.02)
    monkeypatch.setattr(registry_module, "ABSENT_SECONDS", 2.0)
    serve(scenario)


def test_at_most_so_many_join(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        codes = [
            (await client.http.post("/playground/join", headers=bearer(shown.token))).status_code
            for _ in range(3)
        ]
        assert codes == [200, 200, 429]

    monkeypatch.setattr(registry_module, "MAX_JOINED", 2)
    serve(scenario)


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


def test_a_token_opens_its_own_call_and_is_gone_with_it(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, one = await registered(client)
        _, other = await registered(client)
        guest = guest_token(await client.http.post("/playground/guest", headers=bearer(one.token)))
        async with page(client, one.token) as socket, page(client, other.token) as elsewhere:
            assert (await told(socket, "hello"))["call"]["room"] == one.source.room_id
            assert (await told(elsewhere, "hello"))["call"]["room"] == other.source.room_id
            one.publish({"at": 1, "kind": "call_ended"})
            one.close("the bot ended it")
            assert (await told(socket, "events"))["events"] == [{"at": 1, "kind": "call_ended"}]
            assert await told(socket, "over") == {"type": "over", "reason": "the bot ended it"}
            assert await closing(socket) == (1000, "call over")
            for token in (one.token, guest):
                answer = await client.http.post("/playground/join", headers=bearer(token))
                assert answer.status_code == 401
                async with page(client, token) as late:
                    assert await closing(late) == (4401, "call token refused")
            other.publish({"at": 2, "kind": "tick"})
            assert (await told(elsewhere, "events"))["events"] == [{"at": 2, "kind": "tick"}]
        one.close("again")

    serve(scenario)


def test_a_call_whose_room_is_gone_lets_nobody_join(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        call, shown = await registered(client)
        client.server.rooms.delete(call.room_id)
        answer = await client.http.post("/playground/join", headers=bearer(shown.token))
        assert answer.status_code == 410

    serve(scenario)


def test_a_phone_in_the_network_is_served_over_https(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, shown = await registered(client)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        url = client.server.url.replace("http:", "https:")
        async with httpx.AsyncClient(base_url=url, verify=False, headers=bearer(shown.token)) as phone:
            assert "default-src 'none'" in (await phone.get("/")).headers["content-security-policy"]
            joined = (await phone.post("/playground/join")).json()
            link = (await phone.post("/playground/guest")).json()["link"]
        # Somebody else is told an address that they can reach.
        assert link.startswith(f"{client.server.public_urls[0]}/#call=")
        async with websockets.connect(
            f"{url.replace('https', 'wss')}/playground/events", ssl=trusting
        ) as socket:
            await socket.send(json.dumps({"type": "auth", "token": shown.token}))
            assert (await told(socket, "hello"))["call"]["room"] == joined["room_id"]

    serve(scenario, host="0.0.0.0", token="of-my-own")


def test_a_server_that_stops_with_pages_open_leaves_nothing_behind(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        before = asyncio.all_tasks()
        _, shown = await registered(client)
        sockets = [await events_socket(client) for _ in range(5)]
        for socket in sockets:
            await socket.send(json.dumps({"type": "auth", "token": shown.token}))
            await told(socket, "hello")
        await client.server.stop()
        for socket in sockets:
            assert (await told(socket, "over"))["reason"] == "the server stopped"
            await closing(socket)
            await socket.wait_closed()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before

    serve(scenario)
