"""Agents that a crashed process left in its room."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker import OrphanedAgents


def with_client(scenario: Callable[[EmbeddedServer, AsyncFishjamClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with EmbeddedServer() as server, AsyncFishjamClient(server.url, server.token) as client:
            await scenario(server, client)

    asyncio.run(run())


def test_an_agent_whose_process_is_gone_is_deleted_and_one_whose_process_lives_is_not(tmp_path: Path) -> None:
    async def scenario(server: EmbeddedServer, client: AsyncFishjamClient) -> None:
        room = server.rooms.create()
        lost, alive = await client.create_agent(room.id), await client.create_agent(room.id)
        crashed = OrphanedAgents(tmp_path).note(server.url, room.id, lost.id, made_room=False)
        kept = OrphanedAgents(tmp_path).note(server.url, room.id, alive.id, made_room=False)
        assert crashed is not None
        assert kept is not None
        crashed.close()
        await OrphanedAgents(tmp_path).remove(client)
        assert set(room.peers) == {alive.id}
        kept.forget()
        assert not os.listdir(tmp_path)

    with_client(scenario)


@pytest.mark.parametrize("occupied", [False, True])
def test_a_room_made_for_it_goes_too_unless_somebody_is_in_it(tmp_path: Path, occupied: bool) -> None:
    async def scenario(server: EmbeddedServer, client: AsyncFishjamClient) -> None:
        room = server.rooms.create()
        if occupied:
            await server.add_caller(room.id)
        agent = await client.create_agent(room.id)
        note = OrphanedAgents(tmp_path).note(server.url, room.id, agent.id, made_room=True)
        assert note is not None
        note.close()
        await OrphanedAgents(tmp_path).remove(client)
        assert len(server.rooms) == occupied
        assert agent.id not in room.peers
        assert not os.listdir(tmp_path)

    with_client(scenario)


@pytest.mark.parametrize("occupied", [False, True])
def test_a_room_whose_agent_was_never_noted_goes_too(tmp_path: Path, occupied: bool) -> None:
    async def scenario(server: EmbeddedServer, client: AsyncFishjamClient) -> None:
        room = server.rooms.create()
        # Made, and killed before it was noted.
        await client.create_agent(room.id)
        if occupied:
            await server.add_caller(room.id)
        note = OrphanedAgents(tmp_path).note(server.url, room.id, None, made_room=True)
        assert note is not None
        note.close()
        await OrphanedAgents(tmp_path).remove(client)
        assert len(server.rooms) == occupied
        assert not os.listdir(tmp_path)

    with_client(scenario)


def test_a_room_that_is_gone_already_does_no_harm(tmp_path: Path) -> None:
    async def scenario(server: EmbeddedServer, client: AsyncFishjamClient) -> None:
        note = OrphanedAgents(tmp_path).note(server.url, "gone", "gone", made_room=True)
        assert note is not None
        note.close()
        await OrphanedAgents(tmp_path).remove(client)
        assert not os.listdir(tmp_path)

    with_client(scenario)


def test_notes_of_other_servers_and_garbage_are_left_alone(tmp_path: Path) -> None:
    async def scenario(server: EmbeddedServer, client: AsyncFishjamClient) -> None:
        note = OrphanedAgents(tmp_path).note("http://elsewhere", "r", "p", made_room=False)
        assert note is not None
        note.close()
        await OrphanedAgents(tmp_path).remove(client)
        assert len(os.listdir(tmp_path)) == 2

    (tmp_path / "garbage.json").write_text("{")
    with_client(scenario)


def test_a_folder_that_cannot_be_written_costs_only_the_notes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert OrphanedAgents(tmp_path / "file").note("http://here", "r", "p", made_room=False) is None
