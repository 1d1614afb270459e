"""A worker that is told what to begin: no rule of its own counts, and no foreign room is looked at."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker.call_state import CallPhase
from fishjam_agents.worker.rooms_view import RoomsView

from .test_multi_room import Bot, Short, bots, quick, running, until, worker_for

pytestmark = pytest.mark.usefixtures(quick.__name__)


def test_a_told_worker_begins_only_what_it_is_told_to() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            worker = worker_for(server, told=True)
            async with running(worker):
                told, other = server.rooms.create(), server.rooms.create()
                ann = await server.add_caller(told.id)
                await server.add_caller(other.id)
                worker.look_at(await worker.client.get_room(told.id))
                worker.begin(told.id, "bot", None)
                await until(lambda: bots(told))
                looks = worker.looks
                bob = await server.add_caller(told.id)
                await until(lambda: worker.looks > looks)
                assert not bots(other)
                assert set(worker.rooms) == {told.id}
                # Its people leave: it is forgotten like any other.
                ann.leave()
                bob.leave()
                await until(lambda: not worker.calls)

    asyncio.run(scenario())


def test_a_told_worker_remembers_a_call_that_is_over_while_its_people_stay() -> None:
    async def scenario() -> None:
        async with EmbeddedServer() as server:
            worker = worker_for(server, Short, told=True)
            async with running(worker):
                room = server.rooms.create()
                ann = await server.add_caller(room.id)
                worker.look_at(await worker.client.get_room(room.id))
                call = worker.begin(room.id, "bot", None)
                await until(lambda: call.state.phase is CallPhase.ENDED)
                assert worker.calls[room.id] is call
                ann.leave()
                await until(lambda: not worker.calls)

    asyncio.run(scenario())


def test_a_view_of_some_rooms_asks_for_those_alone() -> None:
    only = {"a"}
    view = RoomsView(lambda: only)
    assert view.next_lookup().rooms == ("a",)
    only.clear()
    view.touch_all()
    # Nothing to ask, and above all no listing of everything.
    lookup = view.next_lookup()
    assert (lookup.everything, lookup.rooms) == (True, ())


class Polite(Bot):
    """Notes how it was told to end."""

    ends: ClassVar[list[str]] = []

    def end_call(self) -> None:
        self.ends.append("silently")
        super().end_call()

    def end_with_farewell(self) -> None:
        self.ends.append("with a farewell")
        super().end_with_farewell()


@pytest.mark.parametrize("farewell", [True, False])
def test_a_bot_whose_call_goes_on_elsewhere_says_no_farewell(farewell: bool) -> None:
    async def scenario() -> None:
        Polite.ends.clear()
        async with EmbeddedServer() as server:
            worker = worker_for(server, Polite, told=True)
            async with running(worker):
                room = server.rooms.create()
                await server.add_caller(room.id)
                worker.look_at(await worker.client.get_room(room.id))
                call = worker.begin(room.id, "bot", None)
                await until(lambda: bots(room))
                await until(lambda: call.pipeline is not None and call.pipeline.call_id is not None)
                await worker.drain(0.01, farewell)
                assert call.goes_on_elsewhere
                assert Polite.ends[0] == ("with a farewell" if farewell else "silently")

    asyncio.run(scenario())
