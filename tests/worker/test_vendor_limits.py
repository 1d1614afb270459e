"""Limits of a vendor's account, as a worker of many rooms heeds them; over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import httpx
import pytest

from fishjam_agents.backends.fallback import Fallback
from fishjam_agents.backends.parrot import Parrot
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendInput,
    BackendSession,
    InlineSession,
    VendorEndpoint,
    VendorLimits,
    Vendors,
)
from fishjam_agents.backends.vendors.endpoint import fingerprint
from fishjam_agents.cli.api_server import api_server
from fishjam_agents.errors import BackendError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker import (
    ApiSettings,
    Bots,
    LimitSettings,
    MultiRoomWorker,
    RoomRule,
    WorkersSettings,
)
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_state import CallPhase
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.worker_calls import WorkerCalls
from tests.worker.test_multi_room import bots, running, until


class _Session(InlineSession):
    def handle(self, item: BackendInput) -> None:
        pass


class _Breaking(BackendSession):
    def __init__(self, broken: asyncio.Event) -> None:
        self._broken = broken

    async def send(self, item: BackendInput) -> None:
        pass

    async def read(self) -> None:
        await self._broken.wait()
        raise BackendError("the service is gone", retryable=True)


@dataclass(frozen=True)
class Model(Backend):
    """A model behind an account.

    Attributes:
        key: Its key.
        limits: Limits of the account.
        refused: Keys that are refused.
        broken: Set to end its sessions.
    """

    key: str = "key-1"
    limits: VendorLimits = VendorLimits()  # noqa: RUF009 - frozen
    refused: set[str] = field(default_factory=set)
    broken: asyncio.Event | None = None
    in_process: ClassVar[bool] = True

    @property
    def endpoint(self) -> VendorEndpoint:
        return VendorEndpoint("Model", "", fingerprint(self.key))

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession | InlineSession]:
        if self.key in self.refused:
            raise BackendError("the key was refused", failure="auth")
        yield _Session() if self.broken is None else _Breaking(self.broken)


ONE = VendorLimits(calls=1)


def bot_of(backend: Backend) -> AgentPipeline:
    pipeline = AgentPipeline()
    pipeline.backend = backend
    return pipeline


def worker_for(server: EmbeddedServer, **backends: Backend) -> MultiRoomWorker:
    """A worker with a bot for each backend; rooms of a type get the bot of that name."""
    rules = [RoomRule(name, peer={"bot": name}) for name in backends]

    def maker(backend: Backend) -> object:
        return lambda room: bot_of(backend)

    return MultiRoomWorker(
        Bots(rules, {name: maker(backend) for name, backend in backends.items()}, backends),  # type: ignore[misc]
        fishjam_id=server.url,
        management_token=server.token,
        limits=LimitSettings(empty_room=0.3),
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.SHORTEST_INTERVAL", 0.05)


def test_a_full_account_takes_no_further_rooms_and_other_bots_do() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            model = Model(limits=ONE)
            worker = worker_for(server, model=model, parrot=Parrot())
            rooms = [server.rooms.create() for _ in range(4)]
            async with running(worker):
                # All at once, so that one look sees them.
                callers = await asyncio.gather(
                    *(server.add_caller(room.id, metadata={"bot": "model"}) for room in rooms[:3])
                )
                await until(lambda: sum(len(bots(room)) for room in rooms[:3]) == 1)
                await server.add_caller(rooms[3].id, metadata={"bot": "parrot"})
                await until(lambda: bots(rooms[3]))
                assert sum(len(bots(room)) for room in rooms[:3]) == 1
                assert worker.not_ready() is None
                assert worker.full("model") == f"1 calls use {model.endpoint}, and its limits.calls is 1"
                # Each call that ends makes room for the next.
                for left in (2, 1):
                    served = next(
                        index for index, room in enumerate(rooms[:3]) if callers[index] and bots(room)
                    )
                    callers[served].leave()
                    await until(lambda served=served: not bots(rooms[served]))  # type: ignore[misc]
                    await until(lambda: sum(len(bots(room)) for room in rooms[:3]) == 1)
                    assert left
                await until(lambda: worker.running == 2)
            assert all(not account.calls for account in Vendors.shared())

    asyncio.run(scenario())


def test_a_worker_all_of_whose_bots_are_full_is_not_ready() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            worker = worker_for(server, model=Model(limits=ONE))
            room = server.rooms.create()
            async with running(worker):
                await server.add_caller(room.id, metadata={"bot": "model"})
                await until(lambda: bots(room))
                reason = worker.not_ready()
                assert reason is not None
                assert "limits.calls is 1" in reason

    asyncio.run(scenario())


def test_a_fallback_has_room_while_one_of_its_backends_has() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            chain = Fallback([Model(limits=ONE), Model("key-2", ONE)])
            worker = worker_for(server, model=chain)
            rooms = [server.rooms.create() for _ in range(3)]
            async with running(worker):
                for room in rooms:
                    await server.add_caller(room.id, metadata={"bot": "model"})
                await until(lambda: sum(len(bots(room)) for room in rooms) == 2)
                await until(lambda: [account.calls for account in Vendors.shared()] == [1, 1])
                assert worker.full("model")

    asyncio.run(scenario())


def test_a_place_that_a_running_call_gives_back_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # No look but those that something asks for.
    monkeypatch.setattr("fishjam_agents.worker.rooms_follower.LISTING_INTERVAL", 3600.0)

    async def scenario() -> None:
        async with EmbeddedServer() as server:
            broken = asyncio.Event()
            chain = Fallback([Model(limits=ONE, broken=broken), Model("key-2")], attempts=1, recovery=None)
            worker = worker_for(server, chain=chain, model=Model(limits=ONE))
            first, second = server.rooms.create(), server.rooms.create()
            async with running(worker):
                await server.add_caller(first.id, metadata={"bot": "chain"})
                await until(lambda: bots(first))
                await server.add_caller(second.id, metadata={"bot": "model"})
                await until(lambda: len(worker.rooms[second.id].people))
                assert worker.full("model")
                assert not bots(second)
                broken.set()
                await until(lambda: bots(second))
                assert bots(first), "its fallback stands in"

    asyncio.run(scenario())


def test_calls_of_the_api_are_refused_with_the_reason() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            worker = worker_for(server, model=Model(limits=ONE), parrot=Parrot())
            calls = WorkerCalls(worker, LoadMonitor(WorkersSettings()))
            async with (
                running(worker),
                api_server(ApiSettings(port=0), calls) as url,
                httpx.AsyncClient(base_url=url, trust_env=False) as http,
            ):
                answers = await asyncio.gather(
                    *(http.post("/calls", json={"bot": "model"}) for _ in range(3))
                )
                assert sorted(answer.status_code for answer in answers) == [201, 503, 503]
                refused = next(answer for answer in answers if answer.status_code == 503)
                assert "the bot 'model' takes no call: 1 calls use Model" in refused.json()["error"]
                assert refused.headers["retry-after"]
                assert (await http.get("/readyz")).status_code == 200
                assert (await http.post("/calls", json={"bot": "parrot"})).status_code == 201
                # Rooms that were made for those that came too late are gone.
                await until(lambda: len(server.rooms) == 2)
                metrics = (await http.get("/metrics")).text
                assert 'fishjam_agents_vendor_breakers_open{vendor="Model"} 0' in metrics
                (record,) = [
                    each for each in (await http.get("/calls")).json()["calls"] if each["bot"] == "model"
                ]
                assert record["waits"] is None

    asyncio.run(scenario())


def test_calls_whose_key_was_refused_begin_again_with_another() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            refused = {"key-1"}
            worker = worker_for(server, model=Model(refused=refused))
            room = server.rooms.create()
            async with running(worker):
                await server.add_caller(room.id, metadata={"bot": "model"})
                await until(lambda: worker.counters["calls_parked"])
                assert worker.calls[room.id].state.phase is CallPhase.PARKED
                worker.unpark()
                await until(lambda: worker.counters["calls_parked"] == 2)
                new = Model("key-2", refused=refused)
                worker.bots = Bots(worker.bots.rules, {"model": lambda room: bot_of(new)}, {"model": new})
                worker.unpark()
                await until(lambda: worker.calls[room.id].record().status == "running")
                record = worker.calls[room.id].record()
                assert bots(room)
                assert (record.ended, record.reason) == (None, None)

    asyncio.run(scenario())


def test_a_call_that_waits_says_what_for() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            model = Model()
            worker = worker_for(server, model=model)
            room = server.rooms.create()
            async with running(worker):
                account = Vendors.shared().account(model.endpoint)
                account.lost(BackendError("too many", retryable=True, failure="quota", retry_after=8.0))
                # Long enough for the bot to come while nobody is asked, also on a busy machine.
                await server.add_caller(room.id, metadata={"bot": "model"})
                await until(lambda: bots(room))
                await until(lambda: worker.calls[room.id].record().waits)
                waits = worker.calls[room.id].record().waits
                assert waits is not None
                assert "(too many)" in waits
                await until(lambda: worker.calls[room.id].record().waits is None)
                assert account.breaker.state == "closed"

    asyncio.run(scenario())


def test_a_reservation_ends_with_its_request() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            worker = worker_for(server, model=Model(limits=ONE))
            async with running(worker):
                call = worker.begin("no-such-room", "model", CallRequest("id"))
                assert worker.full("model")
                worker.end(call)
                await until(lambda: worker.full("model") is None)

    asyncio.run(scenario())
