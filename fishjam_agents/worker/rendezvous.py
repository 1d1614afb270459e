"""Rendezvous hashing: which of several processes serves a room (Thaler and Ravishankar, 1998).

When a process goes, only its own rooms move; when one comes, it takes an even share from each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def assigned_to(room_id: str, members: Iterable[str]) -> str:
    """The member with the highest weight for a room; the same in every process and every run.

    Args:
        room_id: The room.
        members: Names of the processes, at least one, in any order.
    """
    return max(members, key=lambda member: (_weight(room_id, member), member))


def rank_of(member: str, room_id: str, members: Iterable[str]) -> int:
    """The place of a member for a room: 0 if the room is assigned to it, 1 if it is next, and so on.

    Args:
        member: One of the members.
        room_id: The room.
        members: Names of all of them, in any order.
    """
    own = (_weight(room_id, member), member)
    return sum((_weight(room_id, other), other) > own for other in members)


def _weight(room_id: str, member: str) -> bytes:
    # The zero byte keeps ("a", "bc") from ("ab", "c").
    return hashlib.blake2b(f"{room_id}\0{member}".encode(), digest_size=8).digest()
