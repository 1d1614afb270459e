"""An agent's session that outlives its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fishjam_agents.fishjam import (
    Agent,
    AgentSession,
    AsyncFishjamClient,
    NotFoundError,
    Reconnected,
    SessionClosedError,
    SessionLostError,
)
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.peer import Peer
from fishjam_agents.session import OutgoingAudioTrackOptions
from fishjam_agents.testing import FaultProxy, Refuse, Reset

from .stubs import QUICK


class Call:
    """An agent in a room behind a proxy, and what its session yields."""

    def __init__(
        self, server: EmbeddedServer, between: FaultProxy, peer: Peer, session: AgentSession
    ) -> None:
        self.server = server
        self.between = between
        self.peer = peer
        self.session = session
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.receiving = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        async for frame in self.session.receive():
            self.frames.put_nowait(frame)

    async def holds(self, condition: Callable[[], bool]) -> None:
        # The server tells nobody but its sockets.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def a_call(**options: Any) -> AsyncIterator[Call]:
    async with (
        asyncio.timeout(10),
        EmbeddedServer() as server,
        FaultProxy(server.url) as between,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        room = await client.create_room()
        made = await client.create_agent(room.id)
        agent = Agent(made.id, room.id, made._token, between.url)
        options = {"reconnect": True, "backoff": QUICK, **options}
        async with agent.connect(**options) as session:
            call = Call(server, between, server.rooms.get(room.id).peer(made.id), session)
            try:
                yield call
            finally:
                call.receiving.cancel()
                await asyncio.gather(call.receiving, return_exceptions=True)


def test_a_lost_connection_comes_back_with_its_tracks_under_new_ids_behind_the_same_handle() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            options = OutgoingAudioTrackOptions(sample_rate=24000, metadata={"type": "microphone"})
            tracks = [await call.session.add_track(options) for _ in range(2)]
            gone = await call.session.add_track(options)
            await call.holds(lambda: len(call.peer.sources) == 3)
            await call.session.remove_track(gone)
            before = [track.id for track in tracks]
            call.between.inject(Reset())
            back = await call.frames.get()
            assert isinstance(back, Reconnected)
            assert back.attempts == 1
            assert back.outage > 0
            after = [track.id for track in tracks]
            assert not set(before) & set(after)
            await call.holds(lambda: list(call.peer.sources) == after)
            assert {source.track.metadata for source in call.peer.sources.values()} == {
                '{"type": "microphone"}'
            }
            await tracks[0].send_chunk(b"\x01\x00" * 480)
            await tracks[0].interrupt()
            await call.session.remove_track(tracks[0])
            await call.holds(lambda: list(call.peer.sources) == after[1:])

    asyncio.run(scenario())


def test_audio_sent_during_an_outage_is_dropped_and_tracks_added_then_are_published_after_it() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            first = await call.session.add_track()
            await call.holds(lambda: len(call.peer.sources) == 1)
            call.between.inject(Refuse("reset"))
            call.between.inject(Reset())
            await call.holds(lambda: not call.peer.connected)
            await call.holds(lambda: call.between.statistics.connections > 2)
            await first.send_chunk(bytes(960))
            await first.interrupt()
            await call.session.capture_image("video")
            second = await call.session.add_track()
            third = await call.session.add_track()
            await call.session.remove_track(third)
            call.between.clear()
            back = await call.frames.get()
            assert back.attempts > 1
            await call.holds(lambda: list(call.peer.sources) == [first.id, second.id])

    asyncio.run(scenario())


def test_a_session_that_is_only_sent_to_comes_back_too() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.receiving.cancel()
            track = await call.session.add_track()
            seen = []
            for _ in range(3):
                await call.holds(lambda: track.id in call.peer.sources and track.id not in seen)
                seen.append(track.id)
                call.between.inject(Reset())

    asyncio.run(scenario())


def test_what_is_listened_to_comes_back_too() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.receiving.cancel()
            heard: asyncio.Queue[Any] = asyncio.Queue()
            listening = asyncio.create_task(call.session.listen(heard.put_nowait))
            for _ in range(2):
                await asyncio.sleep(0)
                call.between.inject(Reset())
                assert isinstance(await heard.get(), Reconnected)
            await call.session.disconnect()
            await listening

    asyncio.run(scenario())


def test_a_connection_that_does_not_come_back_is_given_up_with_a_sentence() -> None:
    async def scenario() -> None:
        async with a_call(give_up_after=0.2) as call:
            track = await call.session.add_track()
            call.between.inject(Refuse("reset"))
            call.between.inject(Reset())
            with pytest.raises(SessionLostError, match=r"lost and did not come back within 0\.2 s .*running"):
                await call.receiving
            with pytest.raises(SessionLostError):
                await track.send_chunk(bytes(2))

    asyncio.run(scenario())


def test_leaving_during_an_outage_ends_receiving() -> None:
    async def scenario() -> None:
        async with a_call() as call:
            call.between.inject(Refuse("reset"))
            call.between.inject(Reset())
            await call.holds(lambda: call.between.statistics.connections > 2)
            await call.session.disconnect()
            await call.receiving

    asyncio.run(scenario())


def test_a_deleted_agent_does_not_come_back() -> None:
    async def scenario() -> None:
        asked: list[int] = []

        async def refresh() -> str:
            asked.append(1)
            return await client.refresh_peer_token(call.session.agent.room_id, call.session.agent.id)

        async with a_call(refresh=refresh) as call:
            room = call.server.rooms.get(call.session.agent.room_id)
            async with AsyncFishjamClient(call.server.url, call.server.token) as client:
                room.remove_peer(call.peer)
                with pytest.raises(SessionClosedError, match="was removed") as caught:
                    await call.receiving
            assert asked == [1]
            assert isinstance(caught.value.__cause__, NotFoundError)

    asyncio.run(scenario())
