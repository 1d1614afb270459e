from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from fishjam_agents.fishjam import (
    AsyncFishjamClient,
    Backoff,
    NotFoundError,
    NotifierAuthError,
    RoomFeed,
    UnauthorizedError,
)
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import read_peer_config
from fishjam_agents.session import PeerType, RoomView

QUICK = Backoff(first=0.02, longest=0.05)


@asynccontextmanager
async def watched_room() -> AsyncIterator[
    tuple[EmbeddedServer, AsyncFishjamClient, RoomFeed, asyncio.Task[None]]
]:
    async with (
        asyncio.timeout(10),
        EmbeddedServer() as server,
        AsyncFishjamClient(server.url, server.token) as client,
        asyncio.TaskGroup() as tasks,
    ):
        room = await client.create_room()
        feed = RoomFeed(client, room.id, backoff=QUICK)
        running = tasks.create_task(feed.run())
        await feed.ready()
        yield server, client, feed, running
        running.cancel()


async def until(feed: RoomView, holds: Callable[[], bool]) -> None:
    """Wait for a change after which `holds`, told by nothing but the subscription."""
    changed = asyncio.Event()
    end = feed.subscribe(changed.set)
    while not holds():
        await changed.wait()
        changed.clear()
    end()


def test_the_room_is_followed_as_peers_come_speak_and_go() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, feed, _):
            assert dict(feed.peers) == {}
            peer, _ = await client.create_peer(feed.room_id)
            agent = await client.create_agent(feed.room_id)
            await until(feed, lambda: len(feed.peers) == 2)
            assert feed.peers[peer.id].type is PeerType.WEBRTC
            assert feed.peers[agent.id].type is PeerType.AGENT
            assert not feed.peers[agent.id].connected

            async with agent.connect() as session:
                await until(feed, lambda: feed.peers[agent.id].connected)
                track = await session.add_track()
                await until(feed, lambda: track.id in feed.peers[agent.id].tracks)
            await until(feed, lambda: not feed.peers[agent.id].connected)
            await client.delete_peer(feed.room_id, peer.id)
            await until(feed, lambda: peer.id not in feed.peers)

    asyncio.run(scenario())


def test_following_ends_when_the_room_is_deleted() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, feed, running):
            await client.create_peer(feed.room_id)
            await until(feed, lambda: len(feed.peers) == 1)
            await client.delete_room(feed.room_id)
            await running
            assert dict(feed.peers) == {}

    asyncio.run(scenario())


def test_a_callback_is_not_called_after_its_end() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, feed, _):
            calls: list[int] = []
            end = feed.subscribe(lambda: calls.append(1))
            end()
            end()
            await client.create_peer(feed.room_id)
            await until(feed, lambda: len(feed.peers) == 1)
            assert calls == []

    asyncio.run(scenario())


def test_a_lost_connection_is_made_anew_and_what_was_missed_is_found(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with watched_room() as (server, client, feed, _):
            await client.create_peer(feed.room_id)
            await until(feed, lambda: len(feed.peers) == 1)
            await server.stop()
            # Made while nobody listens: no notification ever tells of it.
            server.rooms.get(feed.room_id).add_peer(read_peer_config({"type": "webrtc"}))
            await server.start()
            await until(feed, lambda: len(feed.peers) == 2)

    asyncio.run(scenario())
    assert "next attempt in" in caplog.text


def test_a_room_that_never_was_is_an_error() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            with pytest.raises(NotFoundError):
                await RoomFeed(client, "nowhere").run()

    asyncio.run(scenario())


def test_a_wrong_token_is_an_error_at_once() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, "wrong") as client:
            with pytest.raises((NotifierAuthError, UnauthorizedError)):
                await RoomFeed(client, "room").run()

    asyncio.run(scenario())


def test_backoff_grows_to_its_bound_and_is_never_even() -> None:
    backoff = Backoff(first=1.0, longest=8.0)
    for failures, bound in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (10_000, 8.0)]:
        delays = {backoff.delay(failures) for _ in range(20)}
        assert all(bound / 2 <= delay <= bound for delay in delays)
        assert len(delays) > 1
