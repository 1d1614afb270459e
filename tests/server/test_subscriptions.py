"""Selective subscription: who hears whom, over sockets, with our own agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from fishjam_agents.audio.wav import Clip
from fishjam_agents.fishjam import Agent
from fishjam_agents.server import Caller
from fishjam_agents.session import Session

from .conftest import Client, Serve


async def callers(client: Client, room_id: str, count: int) -> list[Caller]:
    """Callers who each hold a tone of their own level."""
    server = client.server
    return [
        await server.add_caller(room_id, Clip(np.full(10 * 16000, 1000 * (position + 1), np.int16), 16000))
        for position in range(count)
    ]


@asynccontextmanager
async def agent(client: Client, room_id: str, mode: str) -> AsyncIterator[tuple[str, Session]]:
    peer_id, token = await client.peer(room_id, "agent", subscribeMode=mode)
    async with Agent(peer_id, room_id, token, client.server.url).connect() as session:
        yield peer_id, session


async def heard(session: Session, frames: int) -> dict[str, set[int]]:
    """Levels heard in so many frames, by track."""
    levels: dict[str, set[int]] = {}
    async for frame in session.receive():
        level = int(np.frombuffer(frame.data, "<i2")[-1])
        levels.setdefault(frame.track.id, set()).add(level)
        frames -= 1
        if not frames:
            break
    return levels


def test_a_manual_agent_hears_only_the_peer_it_is_subscribed_to(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        first, second = await callers(client, room_id, 2)
        async with agent(client, room_id, "manual") as (peer_id, session):
            path = f"/room/{room_id}/peer/{peer_id}/subscribe_peer"
            assert (await client.http.post(path, params={"peer_id": second.id})).status_code == 200
            assert await heard(session, 10) == {second.microphone.track.id: {2000}}
            # Current and future tracks: it comes back with another microphone.
            second.leave()
            second.join()
            second.say(Clip(np.full(16000, 555, np.int16), 16000))
            levels = await heard(session, 20)
            assert 555 in levels[second.microphone.track.id]
            assert first.microphone.track.id not in levels

    serve(scenario)


def test_subscriptions_add_up_and_track_by_track(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        first, second, third = await callers(client, room_id, 3)
        async with agent(client, room_id, "manual") as (peer_id, session):
            path = f"/room/{room_id}/peer/{peer_id}"
            track_ids = [first.microphone.track.id]
            await client.http.post(f"{path}/subscribe_tracks", json={"track_ids": track_ids})
            assert set(await heard(session, 6)) == set(track_ids)
            await client.http.post(f"{path}/subscribe_peer", params={"peer_id": third.id})
            levels = await heard(session, 20)
            assert set(levels) == {first.microphone.track.id, third.microphone.track.id}
            assert second.microphone.track.id not in levels
            shown = await client.shown(room_id, peer_id)
            assert shown["subscriptions"] == {"peers": [third.id], "tracks": track_ids}

    serve(scenario)


def test_a_manual_agent_that_is_subscribed_to_nobody_hears_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        await callers(client, room_id, 2)
        async with (
            agent(client, room_id, "manual") as (_, deaf),
            agent(client, room_id, "auto") as (_, attentive),
        ):
            listening = asyncio.create_task(heard(deaf, 1))
            assert len(await heard(attentive, 40)) == 2
            assert not listening.done()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    serve(scenario)


def test_subscriptions_survive_the_agents_socket(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, second = await callers(client, room_id, 2)
        peer_id, token = await client.peer(room_id, "agent", subscribeMode="manual")
        path = f"/room/{room_id}/peer/{peer_id}/subscribe_peer"
        await client.http.post(path, params={"peer_id": second.id})
        for _ in range(2):
            async with Agent(peer_id, room_id, token, client.server.url).connect() as session:
                assert set(await heard(session, 5)) == {second.microphone.track.id}

    serve(scenario)


def test_peers_and_tracks_of_another_room_cannot_be_subscribed_to(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        stranger = await client.server.add_caller(await client.room())
        peer_id, _ = await client.peer(room_id, "agent", subscribeMode="manual")
        path = f"/room/{room_id}/peer/{peer_id}"
        answer = await client.http.post(f"{path}/subscribe_peer", params={"peer_id": stranger.id})
        assert (answer.status_code, list(answer.json())) == (404, ["errors"])
        known = (await client.server.add_caller(room_id)).microphone.track.id
        track_ids = [known, stranger.microphone.track.id]
        answer = await client.http.post(f"{path}/subscribe_tracks", json={"track_ids": track_ids})
        assert (answer.status_code, list(answer.json())) == (404, ["errors"])
        # All or nothing.
        assert (await client.shown(room_id, peer_id))["subscriptions"] == {"peers": [], "tracks": []}

    serve(scenario)
