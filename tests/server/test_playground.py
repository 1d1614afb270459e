"""The playground over real sockets: who is let in, what pages are told and when, what they may do."""

from __future__ import annotations

import asyncio
import json
import ssl

import httpx
import pytest
import websockets

from fishjam_agents.server.playground import registry as registry_module
from fishjam_agents.server.playground import socket as socket_module

from .conftest import Client, Serve, closing
from .playground import bearer, events_socket, guest_token, page, registered, told
from .sockets import peer_auth


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
