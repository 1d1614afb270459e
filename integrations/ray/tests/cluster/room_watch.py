"""An observer that asks the Fishjam itself, twenty times a second, how many bots are in which room."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from fishjam_agents.fishjam import AsyncFishjamClient

INTERVAL = 0.05


@dataclass
class Seen:
    """Observations since a mark, by room: seconds without a bot, with two, until another one was there."""

    began: float = field(default_factory=time.monotonic)
    gaps: dict[str, list[float]] = field(default_factory=dict)
    doubles: dict[str, float] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    looks: int = 0
    longest_look: float = 0.0


class RoomWatch:
    """Watches the rooms that it is told to."""

    def __init__(self, client: AsyncFishjamClient) -> None:
        self.rooms: set[str] = set()
        self.now: dict[str, int] = {}
        self.seen = Seen()
        self._client = client
        self._empty_since: dict[str, float] = {}
        self._double_since: dict[str, float] = {}
        self._last = 0.0
        self._bots: dict[str, set[str]] = {}

    def mark(self) -> None:
        """Begin to count anew; gaps that are open count from their beginning."""
        self.seen = Seen()

    def exactly_one(self) -> bool:
        """True if each room has exactly one bot, as of the last look."""
        return all(self.now.get(room) == 1 for room in self.rooms)

    async def run(self) -> None:
        while True:
            rooms = await self._client.get_all_rooms()
            now = time.monotonic()
            self._look({room.id: {peer.id for peer in room.peers if _is_bot(peer)} for room in rooms}, now)
            if self._last:
                self.seen.longest_look = max(self.seen.longest_look, now - self._last)
            self.seen.looks += 1
            self._last = now
            await asyncio.sleep(max(0.0, INTERVAL - (time.monotonic() - now)))

    def _look(self, bots: dict[str, set[str]], now: float) -> None:
        for room in self.rooms:
            there = bots.get(room, set())
            count, before = len(there), self.now.get(room, 0)
            if there and not there & self._bots.get(room, there):
                self.seen.changed[room] = now - self.seen.began
            if there:
                self._bots[room] = there
            if count == 0 and before > 0:
                self._empty_since[room] = now
            elif count > 0 and room in self._empty_since:
                self.seen.gaps.setdefault(room, []).append(now - self._empty_since.pop(room))
            if count > 1:
                since = self._double_since.setdefault(room, now)
                self.seen.doubles[room] = now - since
            else:
                self._double_since.pop(room, None)
            self.now[room] = count

    def leave(self, room: str) -> None:
        """Watch a room no more: its people leave."""
        self.rooms.discard(room)
        self.now.pop(room, None)
        self._bots.pop(room, None)
        self._empty_since.pop(room, None)


def _is_bot(peer: object) -> bool:
    return getattr(peer, "type_", None) == "agent" and getattr(peer, "status", None) == "connected"
