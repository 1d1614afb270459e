"""Claims of a replica's rooms, kept by the ledger."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence, Set
from contextlib import suppress
from typing import assert_never

from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere
from fishjam_agents_ray.handles import LedgerHandle, LedgerLostError
from fishjam_agents_ray.ledger import ClaimAnswer

logger = logging.getLogger(__name__)

RENEW_INTERVAL = 1.0
"""Seconds between two looks at what the ledger says of the rooms; the reports tell it."""
ASK_AGAIN = 1.0
"""Seconds after which a room is asked for again."""


class LedgerClaims:
    """The `Claims` of one replica.

    A claim does not end by time: it ends when the replica gives it up, or when the watcher has it from Ray
    that the replica is dead and has deleted the agents that were noted in its rooms.

    Args:
        ledger: The ledger.
        replica: Name of the replica.
        rooms: Tells the rooms that are claimed at the moment.

    Attributes:
        lost: Rooms that the ledger gave to somebody else.
    """

    def __init__(self, ledger: LedgerHandle, replica: str) -> None:
        self.lost: set[str] = set()
        self._ledger = ledger
        self._replica = replica
        self._rooms: set[str] = set()

    @property
    def renew_interval(self) -> float:
        """Part of `Claims`."""
        return RENEW_INTERVAL

    @property
    def clear_interval(self) -> float:
        """Part of `Claims`."""
        return self.renew_interval

    async def acquire(self, room_id: str) -> Claimed | HeldElsewhere:
        """Part of `Claims`."""
        try:
            answer: ClaimAnswer = await self._ledger.ask("claim", self._replica, room_id)
        except LedgerLostError as error:
            raise ClaimStoreError(str(error)) from error
        match answer:
            case "claimed":
                self._rooms.add(room_id)
                self.lost.discard(room_id)
                return Claimed()
            case "held" | "unsettled" | "buried":
                return HeldElsewhere(ASK_AGAIN)
            case _:
                assert_never(answer)

    async def note_agent(self, room_id: str, agent_id: str | None) -> bool:
        """Part of `Claims`."""
        try:
            return bool(await self._ledger.ask("note_agent", self._replica, room_id, agent_id))
        except LedgerLostError as error:
            raise ClaimStoreError(str(error)) from error

    async def renew(self) -> Set[str]:
        """Part of `Claims`."""
        return self._rooms - self.lost

    async def release(self, room_id: str) -> None:
        """Part of `Claims`."""
        self._rooms.discard(room_id)
        self.lost.discard(room_id)
        # The next report, which does not have the room any more, frees it as well.
        with suppress(LedgerLostError):
            await self._ledger.ask("release", self._replica, room_id)

    async def take_expired(self) -> Sequence[tuple[str, str | None]]:
        """Part of `Claims`: the watcher clears what dead replicas left behind."""
        return ()

    async def close(self) -> None:
        """Part of `Claims`."""
        for room_id in list(self._rooms):
            await self.release(room_id)

    def lose(self, rooms: Collection[str]) -> None:
        """Take what the ledger says of rooms that others have."""
        self.lost |= self._rooms & set(rooms)
