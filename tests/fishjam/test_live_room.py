from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.audio.wav import read_wav
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import (
    AsyncFishjamClient,
    Backoff,
    FishjamNotifier,
    NotFoundError,
    NotifierAuthError,
    UnauthorizedError,
)
from fishjam_agents.fishjam.live_events import ROOM_EVENTS, ConnectionState
from fishjam_agents.fishjam.live_room import LiveRoom
from fishjam_agents.protocol import encode
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.protocol.generated.shared import VadStatus
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import read_peer_config
from fishjam_agents.session import OutgoingAudioTrackOptions, PeerType, PeerView, RoomView
from fishjam_agents.testing import FaultProxy, Reset

QUICK = Backoff(first=0.02, longest=0.05)


@asynccontextmanager
async def server_and_client() -> AsyncIterator[tuple[EmbeddedServer, AsyncFishjamClient]]:
    async with (
        asyncio.timeout(10),
        EmbeddedServer() as server,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        yield server, client


@asynccontextmanager
async def watched_room() -> AsyncIterator[
    tuple[EmbeddedServer, AsyncFishjamClient, LiveRoom, asyncio.Task[None]]
]:
    async with server_and_client() as (server, client), asyncio.TaskGroup() as tasks:
        room = await client.create_room()
        live = LiveRoom(client, room.id, backoff=QUICK)
        running = tasks.create_task(live.run())
        await live.ready()
        yield server, client, live, running
        running.cancel()


async def until(room: RoomView, holds: Callable[[], bool]) -> None:
    """Wait for a change after which `holds`, told by nothing but the subscription."""
    changed = asyncio.Event()
    end = room.subscribe(changed.set)
    while not holds():
        await changed.wait()
        changed.clear()
    end()


class Diary:
    """Everything a room tells, as `(event, *ids or values)`."""

    def __init__(self, room: LiveRoom) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()
        for event in ROOM_EVENTS:
            room.on(event, self._writer(event))

    def _writer(self, event: str) -> Callable[..., None]:
        def write(*arguments: Any) -> None:
            self.entries.append((event, *(getattr(item, "id", item) for item in arguments)))
            self._changed.set()

        return write

    async def has(self, event: str, times: int = 1) -> None:
        while sum(entry[0] == event for entry in self.entries) < times:
            self._changed.clear()
            await self._changed.wait()

    def names(self) -> list[str]:
        return [entry[0] for entry in self.entries]


def test_the_room_is_followed_as_peers_come_speak_and_go() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, room, _):
            assert dict(room.peers) == {}
            peer, _ = await client.create_peer(room.id)
            agent = await client.create_agent(room.id)
            await until(room, lambda: len(room.peers) == 2)
            assert room.peers[peer.id].type is PeerType.WEBRTC
            assert room.peers[agent.id].type is PeerType.AGENT
            assert not room.peers[agent.id].connected

            async with agent.connect() as session:
                await until(room, lambda: room.peers[agent.id].connected)
                track = await session.add_track()
                await until(room, lambda: track.id in room.peers[agent.id].tracks)
                assert room.tracks[track.id].peer_id == agent.id
                assert room.tracks[track.id].type == "audio"
            await until(room, lambda: not room.peers[agent.id].connected)
            await client.delete_peer(room.id, peer.id)
            await until(room, lambda: peer.id not in room.peers)

    asyncio.run(scenario())


def test_events_tell_the_life_of_a_peer_in_order() -> None:
    async def scenario() -> None:
        async with server_and_client() as (_, client):
            room_id = (await client.create_room()).id
            async with LiveRoom(client, room_id) as room:
                diary = Diary(room)
                await diary.has("connected") if not room.is_connected else None
                agent = await client.create_agent(room_id)
                await diary.has("peer_added")
                async with agent.connect() as session:
                    await diary.has("peer_connected")
                    track = await session.add_track(OutgoingAudioTrackOptions(metadata={"type": "screen"}))
                    await diary.has("track_published")
                    assert room.tracks[track.id].metadata == {"type": "screen"}
                await diary.has("peer_disconnected")
                await client.delete_room(room_id)
                await diary.has("disconnected")
            told = [entry for entry in diary.entries if entry[0] != "connected"]
            assert told == [
                ("peer_added", agent.id),
                ("peer_connected", agent.id),
                ("track_published", track.id, agent.id),
                ("track_unpublished", track.id, agent.id),
                ("peer_disconnected", agent.id),
                ("peer_removed", agent.id),
                ("room_deleted",),
                ("connection_state_changed", ConnectionState.DISCONNECTED),
                ("disconnected", None),
            ]

    asyncio.run(scenario())


def test_following_ends_when_the_room_is_deleted() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, room, running):
            await client.create_peer(room.id)
            await until(room, lambda: len(room.peers) == 1)
            await client.delete_room(room.id)
            await running
            assert dict(room.peers) == {}
            assert room.connection_state is ConnectionState.DISCONNECTED

    asyncio.run(scenario())


def test_a_callback_is_not_called_after_its_end() -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, room, _):
            calls: list[int] = []
            end = room.subscribe(lambda: calls.append(1))
            end()
            end()
            handler = room.on("peer_added", lambda peer: calls.append(2))
            room.off("peer_added", handler)
            room.off("peer_added", handler)
            await client.create_peer(room.id)
            await until(room, lambda: len(room.peers) == 1)
            assert calls == []

    asyncio.run(scenario())


def test_a_lost_connection_is_made_anew_and_what_was_missed_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with watched_room() as (server, client, room, _):
            diary = Diary(room)
            await client.create_peer(room.id)
            await diary.has("peer_added")
            await server.stop()
            await diary.has("reconnecting")
            assert not room.is_connected
            # Made while nobody listens: no notification ever tells of it.
            server.rooms.get(room.id).add_peer(read_peer_config({"type": "webrtc"}))
            await server.start()
            await diary.has("reconnected")
            assert room.is_connected
            assert diary.names().count("peer_added") == 2
            assert diary.names().index("reconnected") > diary.names().index("peer_added")

    asyncio.run(scenario())
    assert "next attempt in" in caplog.text


def test_many_rooms_share_one_notifier() -> None:
    async def scenario() -> None:
        async with server_and_client() as (server, client), FaultProxy(server.url) as between:
            notifier = FishjamNotifier(between.url, server.token, reconnect=True, backoff=QUICK)
            ids = [(await client.create_room()).id for _ in range(3)]
            rooms = [LiveRoom(client, id, notifier=notifier) for id in ids]
            diaries = [Diary(room) for room in rooms]
            async with asyncio.TaskGroup() as tasks:
                following = [tasks.create_task(room.run()) for room in rooms]
                connection = tasks.create_task(notifier.connect())
                for diary in diaries:
                    await diary.has("connected")
                assert len(between.connections) == 1
                between.inject(Reset())
                for diary in diaries:
                    await diary.has("reconnected")
                peer, _ = await client.create_peer(ids[1])
                await diaries[1].has("peer_added")
                for room in rooms:
                    room.leave()
                await asyncio.gather(*following)
                await notifier.close()
                await connection
            assert [("peer_added", peer.id) in diary.entries for diary in diaries] == [False, True, False]

    asyncio.run(scenario())


def test_a_slow_handler_delays_no_state_and_a_failing_one_no_other_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with watched_room() as (_, client, room, _):
            gate, seen = asyncio.Event(), asyncio.Queue[str]()

            @room.on("peer_added")
            async def broken(peer: PeerView) -> None:
                await gate.wait()
                raise ValueError("a mistake")

            @room.on("peer_added")
            def told(peer: PeerView) -> None:
                seen.put_nowait(peer.id)

            made = [(await client.create_peer(room.id))[0].id for _ in range(3)]
            await until(room, lambda: len(room.peers) == 3)
            assert seen.empty()
            gate.set()
            assert [await seen.get() for _ in made] == made

    asyncio.run(scenario())
    assert caplog.text.count("ValueError: a mistake") == 3


def test_a_handler_may_leave_the_room() -> None:
    async def scenario() -> None:
        async with server_and_client() as (_, client):
            room = LiveRoom(client, (await client.create_room()).id)
            room.on("connected", room.leave)
            await room.run()
            assert room.connection_state is ConnectionState.DISCONNECTED

    asyncio.run(scenario())


def test_who_speaks_is_told_from_voice_notifications() -> None:
    async def scenario() -> None:
        async with watched_room() as (server, client, room, _):
            told = asyncio.Queue[list[str]]()
            room.on("active_speakers_changed", lambda peers: told.put_nowait([peer.id for peer in peers]))
            agent = await client.create_agent(room.id)
            async with agent.connect() as session:
                track = await session.add_track()
                await until(room, lambda: track.id in room.tracks)

                def hears(status: VadStatus) -> None:
                    message = n.ServerMessageVadNotification(room.id, agent.id, track.id, status)
                    data = encode(n.ServerMessage(vad_notification=message))
                    for notified in tuple(server.rooms.notifications._subscribers):
                        notified(room.id, data)

                hears(VadStatus(2))
                hears(VadStatus(2))
                assert await told.get() == [agent.id]
                assert [peer.id for peer in room.active_speakers] == [agent.id]
                hears(VadStatus(1))
                assert await told.get() == []
                hears(VadStatus(2))
                assert await told.get() == [agent.id]
            assert await told.get() == []

    asyncio.run(scenario())


def test_a_caller_of_the_embedded_server_becomes_the_active_speaker() -> None:
    async def scenario() -> None:
        async with watched_room() as (server, _, room, _):
            told = asyncio.Queue[list[str]]()
            room.on("active_speakers_changed", lambda peers: told.put_nowait([peer.id for peer in peers]))
            caller = await server.add_caller(room.id)
            caller.say(read_wav(Path(__file__).parents[2] / "audio_fixtures" / "alice_yes.wav"))
            assert await told.get() == [caller.id]
            assert await told.get() == []

    asyncio.run(scenario())


def test_a_room_that_never_was_is_an_error() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            with pytest.raises(NotFoundError):
                await LiveRoom(client, "nowhere").run()
            with pytest.raises(NotFoundError):
                async with LiveRoom(client, "nowhere"):
                    raise AssertionError("entered")

    asyncio.run(scenario())


def test_a_wrong_token_is_an_error_at_once() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, "wrong") as client:
            with pytest.raises((NotifierAuthError, UnauthorizedError)):
                await LiveRoom(client, "room").run()

    asyncio.run(scenario())


def test_what_the_wire_does_not_carry_is_refused_with_the_reason() -> None:
    async def scenario() -> None:
        async with AsyncFishjamClient("http://127.0.0.1:1", "token") as client:
            room = LiveRoom(client, "room")
            with pytest.raises(ConfigError, match="shows their messages to no server"):
                room.on("data_received")
            with pytest.raises(ConfigError, match=r"use one of .*peer_added"):
                room.on("participant_connected")

    asyncio.run(scenario())


def test_whoever_gives_up_waiting_for_a_room_leaves_no_task_behind() -> None:
    async def scenario() -> None:
        async with AsyncFishjamClient("http://127.0.0.1:9", "token") as client:
            for seconds in (0.0, 0.05):
                following = asyncio.create_task(LiveRoom(client, "room").run())
                await asyncio.sleep(seconds)
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
