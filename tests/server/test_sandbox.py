"""Tokens by name for the vendor's demos, which have no backend."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fishjam_agents.protocol import decode
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.server.errors import RequestError
from fishjam_agents.server.rooms import Rooms
from fishjam_agents.server.sandbox import MAX_NAMES, Sandbox

from .conftest import Client, Serve
from .sockets import peer_auth
from .test_livestreams import claims

BASE = "/room-manager"


async def ask(client: Client, path: str = "", status: int = 200, **query: str) -> Any:
    """Ask as a browser's page does, without any token."""
    async with httpx.AsyncClient(base_url=client.server.url) as http:
        answer = await http.get(BASE + path, params=query)
    assert answer.status_code == status, answer.text
    if status == 200:
        return answer.json()
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def test_the_same_names_are_the_same_room_and_the_same_peer(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        first = await ask(client, roomName="lobby", peerName="Ann")
        assert set(first) == {"peerToken", "peer", "room"}
        assert first["peer"]["name"] == "Ann"
        assert (first["room"]["name"], first["room"]["type"]) == ("lobby", "conference")
        again = await ask(client, roomName="lobby", peerName="Ann", roomType="audio_only")
        assert (again["peer"], again["room"]) == (first["peer"], first["room"])
        other = await ask(client, roomName="lobby", peerName="Bob")
        assert other["room"] == first["room"]
        assert other["peer"]["id"] != first["peer"]["id"]
        room = (await client.http.get(f"/room/{first['room']['id']}")).json()["data"]
        assert room["config"]["videoCodec"] == "vp8"
        assert [peer["metadata"]["server"] for peer in room["peers"]] == [{"name": "Ann"}, {"name": "Bob"}]
        for token in (first["peerToken"], again["peerToken"]):
            async with client.socket("peer", "/api/v1/connect/any") as socket:
                await socket.send(peer_auth(token))
                data = await socket.recv()
                assert isinstance(data, bytes)
                assert decode(schema.PeerMessage, data).authenticated is not None

    serve(scenario)


def test_it_is_served_below_the_clouds_path_too_and_to_allowed_pages(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        path = "/api/v1/connect/my-id/room-manager?roomName=a&peerName=b"
        async with httpx.AsyncClient(base_url=client.server.url) as http:
            answer = await http.get(path, headers={"origin": "http://localhost:5173"})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
            for headers in (
                {"origin": "http://evil.example"},
                {"sec-fetch-site": "cross-site"},
                # A browser that does not say whose page it is.
                {"user-agent": "Mozilla/5.0 (Macintosh)"},
            ):
                assert (await http.get(path, headers=headers)).status_code == 403

    serve(scenario, allowed_origins=["http://localhost:5173"])


def test_what_was_deleted_is_made_anew(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        first = await ask(client, roomName="a", peerName="b")
        path = f"/room/{first['room']['id']}"
        await client.http.delete(f"{path}/peer/{first['peer']['id']}")
        second = await ask(client, roomName="a", peerName="b")
        assert second["room"] == first["room"]
        assert second["peer"]["id"] != first["peer"]["id"]
        await client.http.delete(path)
        third = await ask(client, roomName="a", peerName="b")
        assert third["room"]["id"] != first["room"]["id"]

    serve(scenario)


def test_a_livestream_and_its_viewers(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        made = await ask(
            client, "/livestream", roomName="my stream", public="true", roomType="audio_only_livestream"
        )
        assert set(made) == {"streamerToken", "room"}
        assert made["room"]["name"] == "my stream"
        config = (await client.http.get(f"/room/{made['room']['id']}")).json()["data"]["config"]
        assert (config["public"], config["roomType"]) == (True, "audio_only_livestream")
        viewer = await ask(client, "/my%20stream/livestream-viewer-token")
        rooms = client.server.rooms
        assert rooms.admit_to_stream(made["streamerToken"], "streamer")[0].id == made["room"]["id"]
        assert rooms.admit_to_stream(viewer["token"], "viewer")[0].id == made["room"]["id"]
        assert "no livestream called none" in await ask(client, "/none/livestream-viewer-token", 404)
        await ask(client, roomName="talk", peerName="a")
        assert "no livestream" in await ask(client, "/talk/livestream-viewer-token", 404)
        assert "choose another name" in await ask(client, "/livestream", 400, roomName="talk")
        assert "takes a streamer" in await ask(client, "", 400, roomName="my stream", peerName="a")
        assert "roomType must be one of" in await ask(
            client, "/livestream", 400, roomName="x", roomType="conference"
        )

    serve(scenario)


def test_moq_access_by_name(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for kind, put, get in (
            ("publisher", ["show"], []),
            ("subscriber", [], ["show"]),
            ("full-access", ["show"], ["show"]),
        ):
            access = await ask(client, f"/moq/show/{kind}")
            assert set(access) == {"connection_url", "token"}
            granted = claims(access["token"], client.server.moq.key)
            assert (granted["put"], granted["get"]) == (put, get)
        assert "ask for publisher" in await ask(client, "/moq/show/owner", 404)

    serve(scenario)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "roomName is missing"),
        ({"roomName": "a"}, "peerName is missing"),
        ({"roomName": "", "peerName": "b"}, "roomName must have 1 to 100 characters, not 0"),
        ({"roomName": "a" * 101, "peerName": "b"}, "roomName must have 1 to 100 characters, not 101"),
        ({"roomName": "a", "peerName": "b" * 51}, "peerName must have 1 to 50 characters, not 51"),
        ({"roomName": "a", "peerName": "b", "roomType": "party"}, "Expected roomType to be one of"),
        ({"roomName": "a", "peerName": "b", "public": "maybe"}, "public must be true or false"),
    ],
)
def test_what_makes_no_sense_is_told_in_plain_text(serve: Serve, query: dict[str, str], told: str) -> None:
    async def scenario(client: Client) -> None:
        assert told in await ask(client, "", 400, **query)
        assert await ask(client, "/what/ever/this/is", 404) == "the sandbox has nothing here"

    serve(scenario)


def test_the_longest_names_are_taken_whatever_they_are_made_of(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        answer = await ask(client, roomName="ü" * 100, peerName="<b>&\n\0" * 8 + "é" * 2)
        assert answer["peer"]["name"].startswith("<b>&\n\0")

    serve(scenario)


def test_where_others_can_reach_the_server_it_is_off_unless_switched_on(serve: Serve) -> None:
    async def off(client: Client) -> None:
        assert await ask(client, "", 404, roomName="a", peerName="b") == (
            "the sandbox is off: set fishjam.sandbox, or give the server --sandbox"
        )
        assert "off" in await ask(client, "/moq/a/publisher", 404)
        assert len(client.server.rooms) == 0

    async def on(client: Client) -> None:
        await ask(client, roomName="a", peerName="b")

    serve(off, host="0.0.0.0", token="own")
    serve(off, sandbox=False)
    serve(on, host="0.0.0.0", token="own", sandbox=True)


def test_nobody_can_make_rooms_without_end() -> None:
    rooms = Rooms()
    sandbox = Sandbox(rooms)
    made = [sandbox.room(f"room {number}") for number in range(MAX_NAMES)]
    with pytest.raises(RequestError, match="delete some"):
        sandbox.room("one more")
    assert sandbox.room("room 0") is made[0]
    rooms.delete(made[0].id)
    sandbox.room("one more")
    for number in range(MAX_NAMES):
        sandbox.peer(made[1], f"peer {number}")
    with pytest.raises(RequestError, match="delete some"):
        sandbox.peer(made[1], "one more")
