"""Rooms of machines that share nothing but a Fishjam: whose they are, and when another one steps in; no I/O.

Every machine sees all rooms, so the room itself tells whether somebody serves it. No machine has to know
whether another one lives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from fishjam_agents.worker.rendezvous import rank_of
from fishjam_agents.worker.room_snapshot import RoomSnapshot


@dataclass(slots=True)
class _Room:
    """Knowledge of this shard about a room.

    Attributes:
        rank: Place of this shard among those that may serve it; 0 if it is its own.
        bots: The bots that were there last.
        served: The people who were there with them.
        lost: Those of the bots that are still there, and not connected.
        since: Loop time since which its people wait for a bot; None while they do not.
    """

    rank: int
    bots: Set[str] = frozenset()
    served: Set[str] = frozenset()
    lost: tuple[str, ...] = ()
    since: float | None = None


class ShardRooms:
    """The rooms as one shard of several sees them.

    A shard serves its own rooms at once. A room of another one it takes when its people have waited for a
    bot for `takeover` seconds, twice as long where a further shard comes before it, and so on: because none
    came, or because the one that was there is lost, which leaves its agent in the room. Where a bot left in
    order, its agent is gone, and the people who were there are left to the shard whose room it is.

    Args:
        index: Which of the shards this is, from 0.
        count: How many there are.
        takeover: Seconds that people of other shards' rooms wait for those; infinite leaves them to those.
    """

    def __init__(self, index: int, count: int, takeover: float) -> None:
        self._names = [str(number) for number in range(count)]
        self._name = str(index)
        self._takeover = takeover
        self._rooms: dict[str, _Room] | None = None
        self._looked_at = 0.0

    def looked(self, rooms: Mapping[str, RoomSnapshot], now: float) -> None:
        """Take the rooms as they are.

        Args:
            rooms: All rooms.
            now: Loop time.
        """
        self._looked_at = now
        known = self._rooms or {}
        for room in rooms.values():
            seen = known.get(room.id)
            if seen is None:
                seen = known[room.id] = _Room(rank_of(self._name, room.id, self._names))
                if self._rooms is None:
                    # Who was there before this process may have had a bot that said goodbye.
                    seen.served = _people(room)
            if room.bots:
                seen.bots, seen.served, seen.lost, seen.since = {*room.bots}, _people(room), (), None
                continue
            seen.lost = tuple(agent for agent in room.disconnected if agent in seen.bots)
            if not room.people:
                seen.served, seen.since = frozenset(), None
            elif seen.since is None and (seen.lost or not seen.served & _people(room)):
                seen.since = now
        if len(known) > len(rooms):
            known = {id: seen for id, seen in known.items() if id in rooms}
        self._rooms = known

    def left_to_others(self, now: float) -> Set[str]:
        """Return the rooms that this shard does not take now.

        Args:
            now: Loop time.
        """
        return {id for id, room in (self._rooms or {}).items() if room.rank and now < self._due(room)}

    def next_due(self) -> float:
        """Return the loop time, after that of the last look, at which to decide anew; infinite if none."""
        waiting = (room for room in (self._rooms or {}).values() if room.rank and room.since is not None)
        # Of those that were due at the last look none waits for the clock.
        return min((due for room in waiting if (due := self._due(room)) > self._looked_at), default=math.inf)

    def lost_bots(self, room_id: str) -> Sequence[str]:
        """Return the bots of a room whose connection is lost: to be deleted before another one joins."""
        room = (self._rooms or {}).get(room_id)
        return () if room is None else room.lost

    def _due(self, room: _Room) -> float:
        return math.inf if room.since is None else room.since + room.rank * self._takeover


def _people(room: RoomSnapshot) -> Set[str]:
    return {person.id for person in room.people}
