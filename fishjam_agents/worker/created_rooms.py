"""Rooms that are made for the rules that ask for some, and deleted at the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fishjam_agents.fishjam import AsyncFishjamClient, Room
from fishjam_agents.worker.managed_resources import managed_resource
from fishjam_agents.worker.orphaned_agents import Note, OrphanedAgents
from fishjam_agents.worker.room_rules import RoomRule
from fishjam_agents.worker.unanswered import new_room

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedRooms:
    """Rooms that were made for a rule.

    Attributes:
        bot: The rule's bot.
        create: How many rooms the rule asks for.
        ids: The rooms.
    """

    bot: str | None
    create: int
    ids: tuple[str, ...]


def resolve(
    rules: Sequence[RoomRule], created: Sequence[CreatedRooms]
) -> tuple[tuple[RoomRule, ...], tuple[RoomRule, ...]]:
    """Rules with the ids of what was made in place of `create`, and rules for which nothing was made.

    Args:
        rules: The rules of a file, which may have changed since rooms were made.
        created: What was made.
    """
    left = list(created)
    resolved, missing = [], []
    for rule in rules:
        if rule.create is None:
            resolved.append(rule)
            continue
        rooms = next((made for made in left if (made.bot, made.create) == (rule.bot, rule.create)), None)
        if rooms is None:
            missing.append(rule)
        else:
            left.remove(rooms)
            resolved.append(rule.with_rooms(rooms.ids))
    return tuple(resolved), tuple(missing)


@asynccontextmanager
async def created_rooms(
    client: AsyncFishjamClient, rules: Sequence[RoomRule], orphans: OrphanedAgents | None
) -> AsyncIterator[tuple[CreatedRooms, ...]]:
    """Make the rooms that rules ask for; leaving the context deletes them.

    Args:
        client: A client of their server.
        rules: The rules of a file.
        orphans: Remembers rooms that a crash would leave behind; None remembers nothing.

    Yields:
        What was made.
    """
    async with AsyncExitStack() as stack:
        made = []
        for rule in rules:
            if rule.create is not None:
                rooms = [await stack.enter_async_context(_room(client, orphans)) for _ in range(rule.create)]
                made.append(CreatedRooms(rule.bot, rule.create, tuple(room.id for room in rooms)))
        yield tuple(made)


@asynccontextmanager
async def _room(client: AsyncFishjamClient, orphans: OrphanedAgents | None) -> AsyncIterator[Room]:
    note: Note | None = None

    async def make() -> Room:
        nonlocal note
        async with new_room(client):
            room = await client.create_room()
        if orphans is not None:
            note = orphans.note(client.url, room.id, None, made_room=True)
        return room

    async def remove(room: Room) -> None:
        await client.delete_room(room.id)
        if note is not None:
            note.forget()

    try:
        async with managed_resource("the room", make(), remove) as room:
            logger.info("made a room", extra={"room": room.id})
            yield room
    finally:
        if note is not None:
            note.close()
