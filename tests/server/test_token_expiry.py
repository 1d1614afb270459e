"""Peer tokens on a clock that the test holds: they expire, and a refreshed one lets in again."""

from __future__ import annotations

import time

from fishjam_agents.protocol import encode, encode_auth_request
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.server.tokens import LIFETIME_SECONDS

from .conftest import Client, Serve, closing


class Wall:
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = time.time()

    def __call__(self) -> float:
        return self.time


def auth(name: str, token: str) -> bytes:
    if name == "agent":
        return encode_auth_request(token)
    return encode(schema.PeerMessage(auth_request=schema.PeerMessageAuthRequest(token=token)))


def test_a_token_lasts_a_day_and_a_refreshed_one_another(serve: Serve) -> None:
    wall = Wall()

    async def scenario(client: Client) -> None:
        room_id = await client.room()
        for name, kind in (("agent", "agent"), ("peer", "webrtc")):
            peer_id, token = await client.peer(room_id, kind)
            wall.time += LIFETIME_SECONDS - 1
            async with client.socket(name) as socket:
                await socket.send(auth(name, token))
                await socket.recv()
                answer = await client.http.post(f"/room/{room_id}/peer/{peer_id}/refresh_token")
                fresh = answer.json()["data"]["token"]
                wall.time += 1
                # Who is in stays in.
                assert (await client.shown(room_id, peer_id))["status"] == "connected"
            async with client.socket(name) as socket:
                await socket.send(auth(name, token))
                assert await closing(socket) == (1000, "expired token")
            async with client.socket(name) as socket:
                await socket.send(auth(name, fresh))
                await socket.recv()

    serve(scenario, now=wall)


def test_the_earlier_token_stays_valid_after_a_refresh(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        peer_id, token = await client.peer(room_id, "agent")
        await client.http.post(f"/room/{room_id}/peer/{peer_id}/refresh_token")
        async with client.agent(token):
            assert (await client.shown(room_id, peer_id))["status"] == "connected"

    serve(scenario)
