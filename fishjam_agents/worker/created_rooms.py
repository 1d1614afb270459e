"""Rooms that are made for the rules that ask for some, and deleted at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, NotFoundError, Room
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


class RoomMaker:
    """Makes the rooms that rules ask for, and others in place of those that are lost; a context manager.

    Leaving the context deletes them.

    Args:
        client: A client of their server.
        rules: The rules of a file.
        orphans: Remembers rooms that a crash would leave behind; None remembers nothing.

    Attributes:
        created: What is made.
        changed: Called with `created` when rooms were made anew.
    """

    def __init__(
        self, client: AsyncFishjamClient, rules: Sequence[RoomRule], orphans: OrphanedAgents | None
    ) -> None:
        self.created: tuple[CreatedRooms, ...] = ()
        self.changed: list[Callable[[Sequence[CreatedRooms]], None]] = []
        self._client = client
        self._rules = rules
        self._orphans = orphans
        self._rooms = AsyncExitStack()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Make the rooms.

        Raises:
            FishjamAgentsError: One cannot be made; none is left behind.
        """
        async with AsyncExitStack() as rooms:
            self._rooms = rooms
            made = []
            for rule in self._rules:
                if rule.create is not None:
                    ids = [await self._make() for _ in range(rule.create)]
                    made.append(CreatedRooms(rule.bot, rule.create, tuple(ids)))
            self.created = tuple(made)
            self._rooms = rooms.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._rooms.aclose()

    def renew(self) -> None:
        """Make a room in place of each that the server does not know any more, and tell `changed`.

        A server that keeps its rooms in memory has lost them when it was started again.
        """
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="rooms that are lost")

    async def _renew(self) -> None:
        try:
            for position, made in enumerate(self.created):
                for room_id in made.ids:
                    if not await self._exists(room_id):
                        new = await self._make()
                        logger.warning(
                            "the room %s is gone: another one takes its place", room_id, extra=_of(new)
                        )
                        made = replace(made, ids=tuple(new if id == room_id else id for id in made.ids))
                        self.created = (*self.created[:position], made, *self.created[position + 1 :])
                        for changed in self.changed:
                            changed(self.created)
        except FishjamAgentsError as error:
            # Whoever looks at the rooms the next time asks again.
            logger.warning("rooms that are lost are not made anew yet: %s", error)

    async def _exists(self, room_id: str) -> bool:
        try:
            await self._client.get_room(room_id)
        except NotFoundError:
            return False
        return True

    async def _make(self) -> str:
        return (await self._rooms.enter_async_context(_room(self._client, self._orphans))).id


def _of(room_id: str) -> dict[str, str]:
    return {"room": room_id}


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
            logger.info("made a room", extra=_of(room.id))
            yield room
    finally:
        if note is not None:
            note.close()
