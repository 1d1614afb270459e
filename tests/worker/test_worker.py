"""The worker against a real server on this machine: in, out, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.port import Backend, BackendContext, BackendSession, Capabilities
from fishjam_agents.errors import BackendError, ConfigError, SessionError
from fishjam_agents.events import Event
from fishjam_agents.fishjam import UnreachableError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.rest.application import RestApi
from fishjam_agents.session import PeerType
from fishjam_agents.worker import CallOutcome, JoinedRoom, LimitSettings, OrphanedAgents, RoomSettings, Worker


class Bot(AgentPipeline):
    backend = Parrot()


@dataclass(frozen=True, slots=True)
class Broken(Backend):
    @asynccontextmanager
    async def connect(self, conversation: BackendContext) -> AsyncIterator[BackendSession]:
        raise BackendError("the key was refused: give another one")
        yield


@dataclass(frozen=True, slots=True)
class Wideband(Parrot):
    capabilities = Capabilities(input_rate=24000, output_rate=24000, wants_turn_audio=True)


class Job:
    """A worker at work, with what the tests want to know of it."""

    def __init__(self, server: EmbeddedServer, bot: AgentPipeline, **options: Any) -> None:
        self._placed: asyncio.Future[JoinedRoom] = asyncio.get_running_loop().create_future()
        options = {"fishjam_id": server.url, "management_token": server.token, **options}
        self.worker = Worker(bot, placed=self._placed.set_result, **options)
        self.task = asyncio.create_task(self.worker.run())

    async def placed(self) -> JoinedRoom:
        await asyncio.wait({self._placed, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._placed.done():
            await self.task
        return await self._placed

    async def ending(self) -> CallOutcome:
        async with asyncio.timeout(10):
            return await self.task


def with_server(scenario: Callable[[EmbeddedServer], Any]) -> None:
    async def run() -> None:
        async with EmbeddedServer() as server:
            await scenario(server)

    asyncio.run(run())


def test_the_bot_and_the_room_made_for_it_are_gone_when_it_stops() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        job = Job(server, Bot())
        where = await job.placed()
        assert where.made_room
        peer = server.rooms.get(where.room_id).peer(where.peer_id)
        assert peer.type is PeerType.AGENT
        assert peer.connected
        job.worker.stop()
        assert await job.ending() is CallOutcome.STOPPED
        assert len(server.rooms) == 0

    with_server(scenario)


def test_a_room_that_was_there_stays_and_only_the_bot_leaves() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        room = server.rooms.create()
        caller = await server.add_caller(room.id)
        job = Job(server, Bot(), room=RoomSettings(id=room.id))
        assert (await job.placed()).room_id == room.id
        job.worker.stop()
        await job.ending()
        assert list(server.rooms.get(room.id).peers) == [caller.id]

    with_server(scenario)


def test_the_bot_knows_who_is_in_the_room() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        room = server.rooms.create()
        caller = await server.add_caller(room.id)
        bot, joined = Bot(), asyncio.Event()
        bot.observers.append(lambda event: joined.set() if event.as_dict().get("peer") == caller.id else None)
        job = Job(server, bot, room=RoomSettings(id=room.id))
        async with asyncio.timeout(5):
            await joined.wait()
        job.worker.stop()
        await job.ending()

    with_server(scenario)


def test_the_bot_hears_at_the_rate_of_its_backend() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        bot = Bot()
        bot.backend = Wideband()
        job = Job(server, bot)
        where = await job.placed()
        assert server.rooms.get(where.room_id).peer(where.peer_id).config.sample_rate == 24000
        job.worker.stop()
        await job.ending()

    with_server(scenario)


def test_a_rejected_token_is_a_mistake_in_the_configuration() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        with pytest.raises(ConfigError, match="Fishjam rejected the management token: set ") as caught:
            await Job(server, Bot(), management_token="wrong").ending()
        assert "wrong" not in str(caught.value)
        assert len(server.rooms) == 0

    with_server(scenario)


def test_an_unknown_room_is_a_mistake_in_the_configuration() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        with pytest.raises(ConfigError, match="there is no room 'lobby'"):
            await Job(server, Bot(), room=RoomSettings(id="lobby")).ending()

    with_server(scenario)


def test_a_server_that_is_not_there_is_said_so() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnreachableError, match="is the server running"):
            await Job(server, Bot(), fishjam_id=url).ending()

    with_server(scenario)


def test_a_server_that_stays_away_ends_the_call_with_an_error() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        for patience in (0, 0.3):
            job = Job(server, Bot(), limits=LimitSettings(reconnect=patience))
            await job.placed()
            await server.stop()
            with pytest.raises(SessionError, match=r"is the server still running"):
                await job.ending()
            await server.start()

    with_server(scenario)


def test_a_server_that_goes_away_briefly_does_not_end_the_call() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        outage: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        bot = Bot()
        bot.observers.append(lambda event: outage.set_result(event) if event.kind == "outage" else None)
        job = Job(server, bot)
        where = await job.placed()
        peer = server.rooms.get(where.room_id).peer(where.peer_id)
        [track] = peer.sources
        await server.stop()
        assert not peer.connected
        await server.start()
        async with asyncio.timeout(10):
            told = (await outage).as_dict()
        assert told["what"] == "agent_socket"
        assert told["seconds"] > 0
        assert peer.connected
        assert len(peer.sources) == 1
        assert track not in peer.sources
        job.worker.stop()
        assert await job.ending() is CallOutcome.STOPPED
        assert len(server.rooms) == 0

    with_server(scenario)

    with_server(scenario)


def test_a_deleted_room_ends_the_call_with_an_error() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        job = Job(server, Bot())
        server.rooms.delete((await job.placed()).room_id)
        with pytest.raises(SessionError, match="was removed"):
            await job.ending()

    with_server(scenario)


def test_a_backend_that_fails_for_good_leaves_nothing_behind() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        bot = Bot()
        bot.backend = Broken()
        with pytest.raises(BackendError, match="the key was refused"):
            await Job(server, bot).ending()
        assert len(server.rooms) == 0

    with_server(scenario)


def test_a_cancelled_worker_leaves_nothing_behind() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        job = Job(server, Bot())
        await job.placed()
        job.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job.ending()
        assert len(server.rooms) == 0

    with_server(scenario)


@pytest.mark.parametrize("turns", [0, 1, 5, 20, 60, 100, 140, 180])
def test_stopped_on_its_way_in_it_leaves_nothing_behind(turns: int) -> None:
    async def scenario(server: EmbeddedServer) -> None:
        job = Job(server, Bot())
        for _ in range(turns):
            await asyncio.sleep(0)
        job.worker.stop()
        assert await job.ending() is CallOutcome.STOPPED
        assert len(server.rooms) == 0

    with_server(scenario)


def test_the_bot_may_end_its_call_itself() -> None:
    class Shy(Bot):
        async def on_start(self) -> None:
            self.stop()

    async def scenario(server: EmbeddedServer) -> None:
        assert await Job(server, Shy()).ending() is CallOutcome.FINISHED
        assert len(server.rooms) == 0

    with_server(scenario)


def test_the_longest_call_is_bounded() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        assert await Job(server, Bot(), limits=LimitSettings(max_call=0.1)).ending() is CallOutcome.MAX_CALL
        assert len(server.rooms) == 0

    with_server(scenario)


def test_the_call_ends_when_the_last_person_has_left() -> None:
    async def scenario(server: EmbeddedServer) -> None:
        room = server.rooms.create()
        caller = await server.add_caller(room.id)
        limits = LimitSettings(empty_room=0.1)
        job = Job(server, Bot(), room=RoomSettings(id=room.id), limits=limits)
        await job.placed()
        await asyncio.sleep(0.2)
        assert not job.task.done()
        caller.leave()
        assert await job.ending() is CallOutcome.EMPTY_ROOM

    with_server(scenario)


def test_losing_sight_of_the_room_is_told_and_the_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not told.done():
                told.set_result(record.getMessage())

    async def scenario(server: EmbeddedServer) -> None:
        nonlocal told
        told = asyncio.get_running_loop().create_future()
        room = server.rooms.create()
        job = Job(server, Bot(), room=RoomSettings(id=room.id))
        await job.placed()
        # The server refuses every request from now on, as after a change of the token.
        monkeypatch.setattr(RestApi, "_authorized", lambda api, request: False)
        await server.add_caller(room.id)
        async with asyncio.timeout(5):
            assert "it is no longer known who joins and leaves" in await told
        assert not job.task.done()
        job.worker.stop()
        await job.ending()

    told: asyncio.Future[str]
    logger, handler = logging.getLogger("fishjam_agents.worker"), Told(logging.ERROR)
    logger.addHandler(handler)
    try:
        with_server(scenario)
    finally:
        logger.removeHandler(handler)


def test_the_bot_is_noted_while_it_is_in_a_room(tmp_path: Path) -> None:
    async def scenario(server: EmbeddedServer) -> None:
        job = Job(server, Bot(), orphans=OrphanedAgents(tmp_path))
        await job.placed()
        noted.append(len(os.listdir(tmp_path)))
        job.worker.stop()
        await job.ending()
        noted.append(len(os.listdir(tmp_path)))

    noted: list[int] = []
    with_server(scenario)
    # The bot, and the room made for it.
    assert noted == [2, 0]
