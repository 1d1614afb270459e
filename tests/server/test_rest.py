"""Rooms and peers over HTTP: status codes, shapes and error bodies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from .conftest import Client, Serve

DEFAULT_CONFIG = {
    "roomType": "conference",
    "videoCodec": "h264",
    "maxPeers": 0,
    "public": False,
    "webhookUrl": None,
    "batchWebhookNotifications": False,
}


def test_a_room_is_created_listed_shown_and_deleted(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.http.post("/room", json={"maxPeers": None, "webhookUrl": None})
        assert answer.status_code == 201
        room = answer.json()["data"]["room"]
        assert room == {"id": room["id"], "config": DEFAULT_CONFIG, "peers": []}
        assert (await client.http.get("/room")).json() == {"data": [room]}
        assert (await client.http.get(f"/room/{room['id']}")).json() == {"data": room}
        answer = await client.http.delete(f"/room/{room['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.http.get("/room")).json() == {"data": []}
        assert (await client.http.delete(f"/room/{room['id']}")).status_code == 404

    serve(scenario)


def test_a_room_needs_no_body_and_echoes_what_it_is_given(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.http.post("/room")
        assert answer.json()["data"]["room"]["config"] == DEFAULT_CONFIG
        config = {
            "roomType": "audio_only",
            "videoCodec": "vp8",
            "maxPeers": 3,
            "public": True,
            "webhookUrl": "http://127.0.0.1:1/hook",
            "batchWebhookNotifications": True,
        }
        answer = await client.http.post("/room", json=config)
        assert answer.json()["data"]["room"]["config"] == config
        answer = await client.http.post("/room", json={"maxPeers": "10"})
        assert answer.json()["data"]["room"]["config"]["maxPeers"] == 10

    serve(scenario)


NONSENSE: list[Any] = [
    '{"maxPeers": "nan"}',
    json.dumps({"maxPeers": "9" * 5000}),
    '{"maxPeers": -1}',
    '{"maxPeers": true}',
    '{"maxPeers": 1e999}',
    '{"videoCodec": "av1"}',
    '{"roomType": "party"}',
    '{"roomType": ["conference"]}',
    '{"public": "yes"}',
    '{"webhookUrl": "example.com"}',
    '{"webhookUrl": 5}',
    '{"webhookUrl": "http://[/"}',
    '{"webhookUrl": "http://host:port/"}',
    "[]",
    "not json",
    b"\xff\xfe",
    "[" * 100_000,
]


def test_a_room_that_makes_no_sense_is_refused_with_400(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for content in NONSENSE:
            answer = await client.http.post("/room", content=content)
            assert answer.status_code == 400, content
            assert isinstance(answer.json()["errors"], str)

    serve(scenario)


def test_a_new_peer_has_exactly_seven_keys(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        options = {"metadata": {"name": "Ann"}, "subscribeMode": "auto"}
        answer = await client.http.post(f"/room/{room_id}/peer", json={"type": "webrtc", "options": options})
        assert answer.status_code == 201
        data = answer.json()["data"]
        peer = {
            "id": data["peer"]["id"],
            "type": "webrtc",
            "status": "disconnected",
            "metadata": {"peer": {}, "server": {"name": "Ann"}},
            "subscribeMode": "auto",
            "subscriptions": {"peers": [], "tracks": []},
            "tracks": [],
        }
        assert data["peer"] == peer
        assert data["peer_websocket_url"].startswith("ws://127.0.0.1:")
        assert await client.shown(room_id, peer["id"]) == peer

    serve(scenario)


PEERS: list[tuple[dict[str, Any], int]] = [
    ({"type": "agent"}, 201),
    ({"type": "agent", "options": {"output": {"audioFormat": "pcm16", "audioSampleRate": 24000}}}, 201),
    ({"type": "agent", "options": {"output": {"audioSampleRate": 48000}}}, 400),
    ({"type": "agent", "options": {"output": {"audioSampleRate": [16000]}}}, 400),
    ({"type": "agent", "options": {"output": {"audioFormat": "opus"}}}, 400),
    ({"type": "agent", "options": {"output": 5}}, 400),
    ({"type": "agent", "options": {"subscribeMode": "sometimes"}}, 400),
    ({"type": "agent", "options": []}, 400),
    ({"type": "webrtc", "options": {"metadata": "name"}}, 400),
    ({"type": "robot"}, 400),
    ({}, 400),
    ({"type": "vapi", "options": {"apiKey": "k", "callId": "call-1", "autoClose": True}}, 201),
    ({"type": "vapi", "options": {"apiKey": "k", "callId": "call 1"}}, 400),
    ({"type": "vapi", "options": {"callId": "c"}}, 400),
    ({"type": "vapi", "options": {"apiKey": "k", "callId": "c", "autoClose": "no"}}, 400),
    ({"type": "vapi"}, 400),
]


def test_peers_by_type(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        for body, status in PEERS:
            answer = await client.http.post(f"/room/{room_id}/peer", json=body)
            assert answer.status_code == status, body
            assert status == 201 or isinstance(answer.json()["errors"], str)

    serve(scenario)


def test_a_vapi_peer_is_made_like_the_others_and_its_call_may_fail(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with client.notifications() as told:
            peer_id, _ = await client.peer(room_id, "vapi", apiKey="secret-key", callId="c")
            name, message = await anext(told)
            assert name == "peer_added"
            name, message = await anext(told)
        assert (name, message.peer_id, message.peer_type) == ("peer_crashed", peer_id, 3)
        assert message.reason == "cannot join the VAPI call c: Vapi cannot be reached (ConnectError)"
        assert (await client.http.get(f"/room/{room_id}")).json()["data"]["peers"] == []

    serve(scenario)


def test_a_full_room_refuses_with_409_also_when_nobody_is_connected(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(maxPeers=1)
        peer_id, _ = await client.peer(room_id)
        answer = await client.http.post(f"/room/{room_id}/peer", json={"type": "agent"})
        assert answer.status_code == 409
        assert answer.json() == {"errors": f"Reached agent peers limit in room {room_id}"}
        assert (await client.http.delete(f"/room/{room_id}/peer/{peer_id}")).status_code == 204
        await client.peer(room_id, "agent")

    serve(scenario)


def test_tokens_are_refreshed_and_never_equal(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id)
        answer = await client.http.post(f"/room/{room_id}/peer/{peer_id}/refresh_token")
        assert answer.status_code == 201
        assert answer.json()["data"]["token"] != token
        assert (await client.http.post(f"/room/{room_id}/peer/nobody/refresh_token")).status_code == 404

    serve(scenario)


def test_subscriptions_are_kept_for_manual_peers_only(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        caller = await client.server.add_caller(room_id)
        track_id = caller.microphone.track.id
        manual, _ = await client.peer(room_id, "agent", subscribeMode="manual")
        auto, _ = await client.peer(room_id, "agent")
        for peer_id in (manual, auto):
            path = f"/room/{room_id}/peer/{peer_id}"
            answer = await client.http.post(f"{path}/subscribe_peer", params={"peer_id": caller.id})
            assert (answer.status_code, answer.content) == (200, b"")
            answer = await client.http.post(f"{path}/subscribe_tracks", json={"track_ids": [track_id]})
            assert answer.status_code == 200
        subscriptions = (await client.shown(room_id, manual))["subscriptions"]
        assert subscriptions == {"peers": [caller.id], "tracks": [track_id]}
        assert (await client.shown(room_id, auto))["subscriptions"] == {"peers": [], "tracks": []}
        path = f"/room/{room_id}/peer/{manual}"
        assert (await client.http.post(f"{path}/subscribe_peer")).status_code == 400
        answer = await client.http.post(f"{path}/subscribe_peer", params={"peer_id": "nobody"})
        assert answer.status_code == 404
        assert (await client.http.post(f"{path}/subscribe_tracks", json={"track_ids": 1})).status_code == 400

    serve(scenario)


def test_every_error_is_json(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/playground/nothing", 404),
            ("PUT", "/room", 405),
            ("GET", "/room/invalid_id", 404),
            ("DELETE", "/room/invalid_id", 404),
            ("DELETE", "/room/invalid_id/peer/x", 404),
            ("POST", "/room/invalid_id/peer", 404),
            ("POST", "/moq/access", 400),
            ("GET", "/recordings/nothing", 404),
            ("POST", "/recordings/nothing/stop", 404),
            ("GET", "/recordings/nothing/files/guess.wav", 404),
            ("GET", "/livestream/nothing", 404),
            ("POST", "/api/v1/live/api/whep/some-room", 404),
            ("GET", "/api/v1/live/api/whip", 405),
            ("POST", "/api/v1/live/what", 404),
            ("POST", "/api/composition", 501),
            ("POST", "/api/composition/some-id/start", 501),
        ):
            answer = await client.http.request(method, path)
            assert answer.status_code == status, (method, path)
            assert list(answer.json()) == ["errors"]
            assert isinstance(answer.json()["errors"], str)

    serve(scenario)


def test_an_internal_error_is_json(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: Client) -> None:
        monkeypatch.setattr(client.server.rooms, "create", lambda config: 1 / 0)
        answer = await client.http.post("/room")
        assert (answer.status_code, answer.json()) == (500, {"errors": "Internal Server Error"})

    serve(scenario)


def test_a_wrong_or_missing_token_is_401_and_404_for_validate(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.http.get("/validate")).status_code == 200
        for headers in (
            {"authorization": "Bearer wrong"},
            {"authorization": "bearer"},
            {"authorization": ""},
        ):
            answer = await client.http.post("/room", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"errors": "Invalid token"})
            assert (await client.http.get("/validate", headers=headers)).status_code == 404
        del client.http.headers["authorization"]
        answer = await client.http.get("/room")
        assert (answer.status_code, answer.json()) == (401, {"errors": "Missing token"})
        assert (await client.http.get("/validate")).status_code == 404

    serve(scenario)


def test_paths_as_clients_write_them_all_lead_there_without_a_redirect(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        url = client.server.url
        for path in ("//room", "/room/", "/api/v1/connect/some-id/room", "//api//v1/connect/x//room"):
            assert (await client.http.get(url + path)).status_code == 200, path
        answer = await client.http.get(f"{url}/room/a%2Fb%20c")
        assert (answer.status_code, answer.json()) == (404, {"errors": "Room a/b c does not exist"})
        assert (await client.http.get(f"{url}/room/{room_id.replace('-', '%2D')}")).status_code == 200

    serve(scenario)


def test_metadata_no_parser_can_read_never_reaches_the_listing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        for value in ('"\\ud800"', "NaN", "1e999"):
            content = f'{{"type": "webrtc", "options": {{"metadata": {{"a": {value}}}}}}}'
            assert (await client.http.post(f"/room/{room_id}/peer", content=content)).status_code == 400
        assert (await client.http.get("/room")).status_code == 200

    serve(scenario)


def test_a_huge_body_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.http.post("/room", content=b" " * 2_000_000)
        assert answer.status_code == 413
        assert isinstance(answer.json()["errors"], str)

    serve(scenario)


def test_a_request_that_turns_into_garbage_is_refused_without_a_traceback(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Client) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
        head = f"GET /room HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {client.server.token}\r\n"
        writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")

    serve(scenario)
    assert not [record for record in caplog.records if record.exc_info]
