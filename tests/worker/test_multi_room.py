"""One worker in many rooms of an embedded server, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import SessionError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import Caller, EmbeddedServer
from fishjam_agents.server.room import Room
from fishjam_agents.session import PeerType
from fishjam_agents.worker import Bots, LimitSettings, MultiRoomWorker, RoomRule, RoomSnapshot
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents.worker.call_state import MOST_FAILURES, CallPhase
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.settings import WorkersSettings
from fishjam_agents.worker.sqlite_claims import SqliteClaims
from fishjam_agents.worker.worker_calls import WorkerCalls


class Bot(AgentPipeline):
    backend = Parrot()


class Broken(Bot):
    def make_stages(self) -> Any:
        raise RuntimeError("a bug of the user's")


class Short(Bot):
    async def on_start(self) -> None:
        self.end_call()


EVERY = (RoomRule("bot", every=True),)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.SHORTEST_INTERVAL", 0.05)
    monkeypatch.setattr("fishjam_agents.worker.call_state.RESTARTS", Backoff(first=0.05, longest=0.1))


def worker_for(
    server: EmbeddedServer, bot: type[AgentPipeline] = Bot, rules: Sequence[RoomRule] = EVERY, **options: Any
) -> MultiRoomWorker:
    def make(room: RoomSnapshot) -> AgentPipeline:
        return bot()

    return MultiRoomWorker(
        Bots(rules, {"bot": make, "other": make}),
        fishjam_id=server.url,
        management_token=server.token,
        limits=LimitSettings(empty_room=0.3),
        **options,
    )


@asynccontextmanager
async def running(worker: MultiRoomWorker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(30):
            await until(lambda: worker.not_ready() != "the rooms are not known yet" or task.done())
            yield task
    finally:
        worker.stop()
        await task


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


async def settled(condition: Callable[[], object]) -> None:
    """Wait until something holds, and has held for a second."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    while loop.time() < since + 1.0:
        await asyncio.sleep(0.01)
        if not condition():
            since = loop.time()


def bots(room: Room) -> list[str]:
    """The agents that are connected."""
    return [peer.id for peer in room.peers.values() if peer.type is PeerType.AGENT and peer.connected]


def test_a_bot_comes_with_the_first_person_and_goes_after_the_last() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            early = server.rooms.create()
            ann = await server.add_caller(early.id)
            worker = worker_for(server)
            async with running(worker):
                await until(lambda: bots(early))
                later, empty = server.rooms.create(), server.rooms.create()
                await server.add_caller(later.id)
                await until(lambda: bots(later))
                ann.leave()
                await until(lambda: early.id not in worker.calls)
                # Its agent is deleted, not only disconnected.
                assert set(early.peers) == {ann.id}
                assert not empty.peers
                again = await server.add_caller(early.id)
                await until(lambda: bots(early))
                assert again.id in early.peers
            assert [len(room.peers) for room in (early, later, empty)] == [2, 1, 0]

    asyncio.run(scenario())


def test_rooms_get_the_bot_of_their_rule() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            first, second, third = (server.rooms.create() for _ in range(3))
            rules = (RoomRule("bot", id=(first.id,)), RoomRule("other", peer={"plan": "gold"}))
            worker = worker_for(server, rules=rules)
            async with running(worker):
                await server.add_caller(first.id)
                await server.add_caller(second.id, metadata={"plan": "gold"})
                await server.add_caller(third.id, metadata={"plan": "free"})
                await until(lambda: bots(first) and bots(second))
                kinds = {room_id: call.state.bot for room_id, call in worker.calls.items()}
                assert kinds == {first.id: "bot", second.id: "other"}

    asyncio.run(scenario())


def test_what_notifications_did_not_tell_is_found_in_the_next_listing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            async with running(worker_for(server)):
                notifications = server.rooms.notifications
                told, notifications._subscribers = notifications._subscribers, []
                await server.add_caller(room.id)
                notifications._subscribers = told
                await until(lambda: bots(room))

    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.LISTING_INTERVAL", 0.5)
    asyncio.run(scenario())


def test_a_call_that_crashes_again_and_again_is_reported_and_parked(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            ann = await server.add_caller(room.id)
            worker = worker_for(server, Broken)
            async with running(worker):
                await until(lambda: worker.counters["calls_parked"])
                assert worker.calls[room.id].state.phase is CallPhase.PARKED
                assert worker.counters["calls_crashed"] == worker.counters["calls_started"] == MOST_FAILURES
                assert set(room.peers) == {ann.id}
                # A new conversation gets a new chance.
                ann.leave()
                await until(lambda: not worker.calls)
                await server.add_caller(room.id)
                await until(lambda: worker.calls)

    caplog.set_level(logging.WARNING)
    asyncio.run(scenario())
    reports = [record for record in caplog.records if "is not started again" in record.message]
    assert len(reports) >= 1
    assert "a bug of the user's" in reports[0].message
    assert all(getattr(record, "room", None) for record in reports)


def test_the_id_of_a_call_leads_from_the_api_to_the_log_and_to_each_of_its_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids: list[str | None] = []

    class Failing(Bot):
        async def on_start(self) -> None:
            ids.append(self.call_id)
            if len(ids) == 1:
                assert self._call_context is not None
                self._call_context.end.fail(SessionError("a run that fails"))

    async def scenario() -> str:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            await server.add_caller(room.id)
            worker = worker_for(server, Failing)
            async with running(worker):
                await until(lambda: len(ids) == 2)
                (call,) = worker.calls.values()
                return call.id

    with caplog.at_level(logging.INFO, "fishjam_agents.worker"):
        id = asyncio.run(scenario())
    assert ids == [id[:8], f"{id[:8]}-2"]
    joined = [record for record in caplog.records if "joins as" in record.getMessage()]
    assert [getattr(record, "call") for record in joined] == ids  # noqa: B009
    assert all(record.getMessage().endswith(f": call {id}") for record in joined)


def test_nobody_is_greeted_twice_by_a_bot_that_has_left() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            ann = await server.add_caller(room.id)
            worker = worker_for(server, Short)
            async with running(worker):
                await until(lambda: worker.counters["calls_ended"])
                worker.wake()
                await asyncio.sleep(0.3)
                assert worker.counters["calls_started"] == 1
                ann.leave()
                await server.add_caller(room.id)
                await asyncio.sleep(0.3)

    asyncio.run(scenario())


def test_of_two_workers_without_a_common_store_one_bot_stays() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            rooms = [server.rooms.create() for _ in range(4)]
            first, second = worker_for(server), worker_for(server)
            async with running(first), running(second):
                for room in rooms:
                    await server.add_caller(room.id)
                await settled(lambda: all(len(bots(room)) == 1 for room in rooms))

    asyncio.run(scenario())


def test_draining_takes_no_new_room_and_lets_calls_end() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room, other = server.rooms.create(), server.rooms.create()
            ann = await server.add_caller(room.id)
            worker = worker_for(server)
            async with running(worker) as task:
                await until(lambda: bots(room))
                draining = asyncio.create_task(worker.drain(10))
                await server.add_caller(other.id)
                await asyncio.sleep(0.3)
                assert worker.not_ready() == "it is draining"
                assert bots(room)
                assert not bots(other)
                ann.leave()
                await draining
                assert not bots(room)
                worker.stop()
                await task

    asyncio.run(scenario())


def test_over_a_limit_no_new_room_is_taken() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room, other = server.rooms.create(), server.rooms.create()
            callers: list[Caller] = [await server.add_caller(room.id)]
            worker = worker_for(server, max_calls=1)
            async with running(worker):
                await until(lambda: bots(room))
                await server.add_caller(other.id)
                await asyncio.sleep(0.3)
                assert not bots(other)
                assert worker.not_ready() == "it has 1 calls, and workers.max_calls is 1"
                callers[0].leave()
                await until(lambda: bots(other))

    asyncio.run(scenario())


def test_a_server_that_restarts_loses_its_rooms_and_the_worker_goes_on() -> None:
    async def scenario() -> None:
        server = EmbeddedServer(token="token")
        await server.start()
        port = server.port
        room = server.rooms.create()
        await server.add_caller(room.id)
        worker = worker_for(server)
        async with running(worker):
            await until(lambda: bots(room))
            await server.stop()
            async with EmbeddedServer(port=port, token="token") as again:
                new = again.rooms.create()
                await again.add_caller(new.id)
                await until(lambda: bots(new))
                await until(lambda: set(worker.calls) == {new.id})

    asyncio.run(scenario())


def test_an_overloaded_process_takes_rooms_again_when_it_is_relieved() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            await server.add_caller(room.id)
            busy: list[str] = ["it is busy"]
            worker = worker_for(server, overload=lambda: busy[0] if busy else None)
            async with running(worker):
                await asyncio.sleep(0.3)
                assert worker.not_ready() == "it is busy"
                assert not bots(room)
                busy.clear()
                worker.wake()
                await until(lambda: bots(room))

    asyncio.run(scenario())


def test_an_overloaded_process_takes_rooms_over_from_one_that_is_gone_and_no_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            lost, new = server.rooms.create(), server.rooms.create()
            for room in (lost, new):
                await server.add_caller(room.id)
            gone = SqliteClaims(tmp_path / "claims.db", server.url, "gone")
            claims = SqliteClaims(tmp_path / "claims.db", server.url)
            try:
                await gone.acquire(lost.id)
                worker = worker_for(server, overload=lambda: "it is busy", claims=claims)
                async with running(worker):
                    await claims.expire("gone")
                    await until(lambda: bots(lost))
                    assert not bots(new)
                    assert worker.not_ready() == "it is busy"
                    # So it is with a call of the API whose process is gone.
                    calls = WorkerCalls(worker, LoadMonitor(WorkersSettings()))
                    with pytest.raises(CallRefusedError, match="it is busy"):
                        await calls.create(CallRequest("c1", room=server.rooms.create().id, bot="bot"))
                    asked = server.rooms.create()
                    await calls.create(CallRequest("c2", room=asked.id, bot="bot", again=True))
                    await until(lambda: bots(asked))
            finally:
                await claims.close()
                await gone.close()

    asyncio.run(scenario())


@asynccontextmanager
async def claimed_room(
    folder: Path,
) -> AsyncIterator[tuple[EmbeddedServer, Room, SqliteClaims, SqliteClaims]]:
    """A server, a room with somebody in it, and the claims of two processes, the first of which has it."""
    async with EmbeddedServer() as server:
        room = server.rooms.create()
        await server.add_caller(room.id)
        path = folder / "claims.db"
        first, second = (SqliteClaims(path, server.url, lifetime=1000.0) for _ in range(2))
        try:
            await first.acquire(room.id)
            yield server, room, first, second
        finally:
            await second.close()
            await first.close()


def test_who_waits_for_a_claim_asks_again_when_its_bot_was_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with claimed_room(tmp_path) as (server, room, other, claims):
            worker = worker_for(server, claims=claims)
            async with running(worker):
                await until(lambda: worker.counters["calls_held_elsewhere"])
                first = worker_for(server, claims=other)
                async with running(first):
                    await until(lambda: bots(room))
                    await until(lambda: worker.rooms[room.id].bots)
                    await other.release(room.id)
                await until(lambda: bots(room))

    asyncio.run(scenario())


def test_rooms_that_others_serve_are_no_calls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with claimed_room(tmp_path) as (server, _, _, claims):
            worker = worker_for(server, claims=claims)
            calls = WorkerCalls(worker, LoadMonitor(WorkersSettings()))
            async with running(worker):
                await until(lambda: worker.counters["calls_held_elsewhere"])
                assert not calls.records()

    asyncio.run(scenario())


def test_a_room_that_is_deleted_takes_its_call_with_it() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            await server.add_caller(room.id)
            worker = worker_for(server)
            async with running(worker):
                await until(lambda: bots(room))
                server.rooms.delete(room.id)
                await until(lambda: not worker.calls)
                assert worker.counters["calls_parked"] == 0

    asyncio.run(scenario())


def test_somebody_who_comes_while_the_bot_leaves_an_empty_room_gets_a_bot() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            room = server.rooms.create()
            ann = await server.add_caller(room.id)
            worker = worker_for(server, Slow)
            async with running(worker):
                await until(lambda: bots(room))
                before = bots(room)
                ann.leave()
                await until(Slow.leaving.is_set)
                # The call has ended for want of people, and its bot is not gone yet.
                await server.add_caller(room.id)
                await until(lambda: bots(room) and bots(room) != before)
                assert worker.counters["calls_started"] == 2

    Slow.leaving = asyncio.Event()
    asyncio.run(scenario())


class Slow(Bot):
    leaving: asyncio.Event

    async def on_stop(self) -> None:
        self.leaving.set()
        await asyncio.sleep(0.5)
