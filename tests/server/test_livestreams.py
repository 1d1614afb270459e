"""Livestream rooms, the stream resources, and access to MoQ."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from .conftest import Client, Serve


@pytest.mark.parametrize("room_type", ["livestream", "audio_only_livestream", "broadcaster"])
def test_a_livestream_room_gives_tokens_and_takes_no_peers(serve: Serve, room_type: str) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(roomType=room_type, public=True)
        config = (await client.http.get(f"/room/{room_id}")).json()["data"]["config"]
        assert (config["roomType"], config["public"]) == (room_type, True)
        tokens = set()
        for kind in ("viewer", "streamer"):
            for _ in range(2):
                answer = await client.http.post(f"/room/{room_id}/{kind}")
                assert (answer.status_code, list(answer.json())) == (201, ["token"])
                tokens.add(answer.json()["token"])
        assert len(tokens) == 4
        for peer in ("webrtc", "agent"):
            answer = await client.http.post(f"/room/{room_id}/peer", json={"type": peer})
            assert (answer.status_code, list(answer.json())) == (400, ["errors"])

    serve(scenario)


@pytest.mark.parametrize("room_type", ["conference", "audio_only", "full_feature"])
def test_a_room_for_peers_gives_no_livestream_tokens(serve: Serve, room_type: str) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room(roomType=room_type)
        await client.peer(room_id)
        for kind in ("viewer", "streamer"):
            for room in (room_id, "nowhere"):
                answer = await client.http.post(f"/room/{room}/{kind}")
                assert (answer.status_code, list(answer.json())) == (404, ["errors"])
        assert (await client.http.get(f"/livestream/{room_id}")).status_code == 404
        assert (await client.http.get("/livestream")).json() == {"data": []}
        assert (await client.http.delete(f"/livestream/{room_id}")).status_code == 204
        assert (await client.http.get(f"/room/{room_id}")).status_code == 200

    serve(scenario)


def test_a_stream_is_a_livestream_room_under_another_path(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.http.post("/livestream", json={"audioOnly": True, "public": True})
        assert answer.status_code == 201
        stream = answer.json()["data"]
        path = f"/livestream/{stream['id']}"
        empty = {"id": stream["id"], "public": True, "audioOnly": True, "streamers": [], "viewers": []}
        assert stream == empty
        [room] = (await client.http.get("/room")).json()["data"]
        assert (room["id"], room["config"]["roomType"]) == (stream["id"], "audio_only_livestream")

        made: dict[str, Any] = {}
        for kind in ("streamer", "viewer"):
            answer = await client.http.post(f"{path}/{kind}")
            assert answer.status_code == 201
            made[kind] = answer.json()["data"]
        assert made["streamer"]["status"] == "disconnected"
        assert set(made["viewer"]) == {"id", "token"}
        shown = (await client.http.get(path)).json()["data"]
        assert (shown["streamers"], shown["viewers"]) == ([made["streamer"]], [made["viewer"]])
        assert (await client.http.get("/livestream")).json() == {"data": [shown]}

        for kind in ("streamer", "viewer"):
            for _ in range(2):
                assert (await client.http.delete(f"{path}/{kind}/{made[kind]['id']}")).status_code == 204
        assert (await client.http.get(path)).json() == {"data": empty}
        for _ in range(2):
            assert (await client.http.delete(path)).status_code == 204
            for kind in ("streamer", "viewer"):
                assert (await client.http.delete(f"{path}/{kind}/x")).status_code == 204
                assert (await client.http.post(f"{path}/{kind}")).status_code == 404
        assert (await client.http.get("/room")).json() == {"data": []}
        assert (await client.http.post("/livestream", json={"audioOnly": "no"})).status_code == 400

    serve(scenario)


def test_moq_access_is_a_signed_statement_of_the_paths(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        body = {"publishPath": "me", "subscribePath": None}
        answer = await client.http.post("/moq/access", json=body)
        assert answer.status_code == 200
        access = answer.json()
        assert set(access) == {"connection_url", "token"}
        assert access["connection_url"] == f"{client.server.url}/local?jwt={access['token']}"
        assert claims(access["token"], client.server.moq.key) == {
            "root": "local",
            "put": ["me"],
            "get": [],
            "iat": 1000,
            "exp": 4600,
        }
        answer = await client.http.post("/moq/access", json={"subscribePath": "all", "ttl": 604800})
        granted = claims(answer.json()["token"], client.server.moq.key)
        assert (granted["get"], granted["exp"]) == (["all"], 605800)

    serve(scenario, now=lambda: 1000.7)


def test_moq_access_to_nothing_or_for_too_long_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for body in (
            {},
            {"publishPath": None, "subscribePath": None},
            {"publishPath": ""},
            {"publishPath": 5},
            {"publishPath": "a", "ttl": 0},
            {"publishPath": "a", "ttl": 604801},
            {"publishPath": "a", "ttl": True},
            {"publishPath": "a", "ttl": "60"},
        ):
            answer = await client.http.post("/moq/access", json=body)
            assert (answer.status_code, list(answer.json())) == (400, ["errors"]), body

    serve(scenario)


def claims(token: str, key: bytes) -> dict[str, Any]:
    """The claims of a JWT whose signature is checked, as RFC 7515 says."""
    head, payload, signature = token.split(".")
    assert json.loads(unpadded(head)) == {"alg": "HS256", "typ": "JWT"}
    assert unpadded(signature) == hmac.digest(key, f"{head}.{payload}".encode(), hashlib.sha256)
    content: dict[str, Any] = json.loads(unpadded(payload))
    return content


def unpadded(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
