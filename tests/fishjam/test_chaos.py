"""Connections cut at random moments, and random bytes for every decoder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam import (
    Agent,
    AgentSession,
    AsyncFishjamClient,
    Backoff,
    FishjamNotifier,
    LiveRoom,
    NotFoundError,
    OutgoingTrack,
    Reconnected,
    decode_server_notifications,
    verify_webhook_signature,
)
from fishjam_agents.fishjam.endpoints import create_agent, create_room, get_all_rooms, get_room
from fishjam_agents.protocol import decode, decode_agent_request, decode_agent_response
from fishjam_agents.protocol.generated.notifications import ServerMessage
from fishjam_agents.protocol.generated.peer import PeerMessage
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.testing import FaultProxy, Refuse, Reset

WORLDS = 4
"""Worlds that fall apart at the same time, each with its own seed."""

SECONDS = 60.0 if os.environ.get("FISHJAM_SOAK") else 5.0
"""Seconds of cuts in each world: 20 s of them by default, 240 s in a soak."""

QUICK = Backoff(first=0.01, longest=0.05)


class Replay:
    """What somebody knows of a room who hears its events and nothing else."""

    def __init__(self, room: LiveRoom) -> None:
        self.room = room
        self.peers: dict[str, bool] = {}
        self.tracks: dict[str, str] = {}
        self.reconnects = 0
        for event in ("peer_added", "peer_removed", "peer_connected", "peer_disconnected"):
            room.on(event, getattr(self, event))
        room.on("track_published", self.published)
        room.on("track_unpublished", self.unpublished)
        room.on("reconnected", self.reconnected)
        self.mistakes: list[str] = []

    def expect(self, holds: bool, what: str) -> None:
        # A handler's exception is only logged.
        if not holds:
            self.mistakes.append(what)

    def peer_added(self, peer: Any) -> None:
        self.expect(peer.id not in self.peers, f"{peer.id} was added twice")
        self.peers[peer.id] = False

    def peer_removed(self, peer: Any) -> None:
        self.expect(peer.id not in self.tracks.values(), f"{peer.id} went and left tracks")
        self.expect(
            self.peers.pop(peer.id, None) is False, f"{peer.id} was removed while connected, or unknown"
        )

    def peer_connected(self, peer: Any) -> None:
        self.expect(self.peers.get(peer.id) is False, f"{peer.id} connected twice, or unknown")
        self.peers[peer.id] = True

    def peer_disconnected(self, peer: Any) -> None:
        self.expect(self.peers.get(peer.id) is True, f"{peer.id} disconnected twice, or unknown")
        self.peers[peer.id] = False

    def published(self, track: Any, peer: Any) -> None:
        self.expect(track.id not in self.tracks, f"{track.id} was published twice")
        self.expect(peer.id in self.peers, f"{track.id} of an unknown peer")
        self.tracks[track.id] = peer.id

    def unpublished(self, track: Any, peer: Any) -> None:
        self.expect(
            self.tracks.pop(track.id, None) == peer.id, f"{track.id} was unpublished twice, or unknown"
        )

    def reconnected(self) -> None:
        self.reconnects += 1

    def agrees(self, shown: Any) -> bool:
        """Whether it is what REST shows."""
        peers = {peer.id: peer.status == "connected" for peer in shown.peers}
        tracks = {track.id: peer.id for peer in shown.peers for track in peer.tracks}
        return self.peers == peers and self.tracks == tracks


class Bot:
    """An agent that adds and removes tracks and talks on them, whatever happens to its connection."""

    def __init__(self, session: AgentSession) -> None:
        self.session = session
        self.tracks: list[OutgoingTrack] = []
        self.reconnects = 0

    async def receive(self) -> None:
        async for frame in self.session.receive():
            self.reconnects += isinstance(frame, Reconnected)

    async def act(self, dice: random.Random) -> None:
        if len(self.tracks) < 3 and dice.random() < 0.5:
            self.tracks.append(await self.session.add_track())
        elif self.tracks and dice.random() < 0.3:
            await self.session.remove_track(self.tracks.pop(dice.randrange(len(self.tracks))))
        for track in self.tracks:
            await track.send_chunk(bytes(640))


class World:
    """A server behind a proxy, rooms followed through it, bots in them."""

    def __init__(
        self, seed: int, server: EmbeddedServer, between: FaultProxy, client: AsyncFishjamClient
    ) -> None:
        self.dice = random.Random(seed)
        self.server = server
        self.between = between
        self.client = client
        self.replays: list[Replay] = []
        self.bots: list[Bot] = []
        self.people: list[tuple[str, str]] = []

    async def live(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cut(end))
            while loop.time() < end:
                await self._happen()
                await asyncio.sleep(self.dice.uniform(0.0, 0.03))
        self.between.clear()

    async def _cut(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            await asyncio.sleep(self.dice.uniform(0.02, 0.4))
            self.between.clear()
            if self.dice.random() < 0.2:
                self.between.inject(Refuse("reset"))
            if self.between.connections:
                everything = self.dice.random() < 0.2
                cut = self.between.connections if everything else [self.dice.choice(self.between.connections)]
                self.between.inject(Reset("client" if self.dice.random() < 0.3 else "both"), cut)

    async def _happen(self) -> None:
        room_id = self.dice.choice(self.replays).room.id
        action = self.dice.random()
        if action < 0.2:
            self.people.append((room_id, (await self.client.create_peer(room_id))[0].id))
        elif action < 0.35 and self.people:
            await self.client.delete_peer(*self.people.pop(self.dice.randrange(len(self.people))))
        else:
            await self.dice.choice(self.bots).act(self.dice)

    async def settled(self) -> None:
        """Wait until everybody knows what REST shows, and check that each bot's tracks are there once."""
        for replay in self.replays:
            while not (  # noqa: ASYNC110 - no event tells that the last one was told
                replay.room.is_connected and replay.agrees(await self.client.get_room(replay.room.id))
            ):
                await asyncio.sleep(0.02)
            assert replay.mistakes == []
        for bot in self.bots:
            peer = self.server.rooms.get(bot.session.agent.room_id).peer(bot.session.agent.id)

            def as_it_should(peer: Any = peer, bot: Bot = bot) -> bool:
                return list(peer.sources) == [track.id for track in bot.tracks]

            while not as_it_should():  # noqa: ASYNC110 - the server tells nobody but its sockets
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_world(seed: int) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedServer())
        between = await stack.enter_async_context(FaultProxy(server.url))
        direct = await stack.enter_async_context(AsyncFishjamClient(server.url, server.token))
        shaken = await stack.enter_async_context(AsyncFishjamClient(between.url, server.token))
        notifier = FishjamNotifier(between.url, server.token, reconnect=True, backoff=QUICK)
        world = World(seed, server, between, direct)
        rooms = [LiveRoom(shaken, (await direct.create_room()).id, notifier=notifier) for _ in range(2)]
        world.replays = [Replay(room) for room in rooms]
        # One that opens a notifier of its own, beside two that share one.
        rooms.append(LiveRoom(shaken, rooms[0].id, backoff=QUICK))
        world.replays.append(Replay(rooms[2]))
        await stack.enter_async_context(notifier)
        for room in rooms:
            await stack.enter_async_context(room)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for room in rooms[:2]:
            made = await direct.create_agent(room.id)
            agent = Agent(made.id, room.id, made._token, between.url)
            session = await stack.enter_async_context(agent.connect(reconnect=True, backoff=QUICK))
            world.bots.append(Bot(session))
        receiving = [tasks.create_task(bot.receive()) for bot in world.bots]
        yield world
        for bot in world.bots:
            await bot.session.disconnect()
        await asyncio.gather(*receiving)


async def survive(seed: int) -> tuple[int, int]:
    async with a_world(seed) as world:
        await world.live(SECONDS)
        async with asyncio.timeout(15):
            await world.settled()
        return (
            sum(replay.reconnects for replay in world.replays),
            sum(bot.reconnects for bot in world.bots),
        )


@pytest.mark.timeout(60 + SECONDS)
def test_random_cuts_lose_no_event_double_no_track_and_leave_no_task() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        survived = await asyncio.gather(*(survive(seed) for seed in range(WORLDS)))
        for rooms, bots in survived:
            assert rooms > SECONDS / 2
            assert bots > SECONDS / 4
        # Transports that were aborted report their end in the next turn of the loop.
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


BYTES = st.binary(max_size=200)


@pytest.mark.parametrize(
    "read",
    [
        decode_agent_response,
        decode_agent_request,
        lambda data: decode(ServerMessage, data),
        lambda data: decode(PeerMessage, data),
        decode_server_notifications,
    ],
    ids=["agent response", "agent request", "server message", "peer message", "webhook"],
)
@given(data=BYTES)
def test_random_bytes_are_a_message_or_a_protocol_error(read: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        read(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "id", "peers", "config", "room", "peer", "token", "tracks", "status", "type"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "request_",
    [get_room("r"), get_all_rooms(), create_room(), create_agent("r", _url="http://127.0.0.1:5002")],
    ids=["get_room", "get_all_rooms", "create_room", "create_agent"],
)
@given(
    status=st.sampled_from([200, 201, 204, 400, 404, 500]),
    body=BYTES | JSON.map(lambda v: json.dumps(v).encode()),
)
def test_random_answers_are_a_result_or_one_of_our_errors(request_: Any, status: int, body: bytes) -> None:
    with contextlib.suppress(FishjamAgentsError):
        request_.answer(status, body)


@given(BYTES, st.text(max_size=80))
def test_a_random_signature_is_never_right(body: bytes, signature: str) -> None:
    assert not verify_webhook_signature(body, signature, "secret")


def test_a_room_that_goes_while_it_is_followed_through_cuts_is_told() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(10), a_world(99) as world:
            replay = world.replays[2]
            deleted = asyncio.Event()
            replay.room.on("room_deleted", deleted.set)
            world.between.inject(Refuse("reset"))
            world.between.inject(Reset())
            for bot in world.bots:
                await bot.session.disconnect()
            await world.client.delete_room(replay.room.id)
            with pytest.raises(NotFoundError):
                await world.client.get_room(replay.room.id)
            world.between.clear()
            await deleted.wait()
            assert replay.peers == {}
            assert replay.mistakes == []

    asyncio.run(scenario())
