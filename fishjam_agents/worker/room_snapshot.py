"""A room at one moment, as far as it matters for who gets a bot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a room.

    Attributes:
        id: The peer.
        metadata: What the application says of it, then what it says of itself.
    """

    id: str
    metadata: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """A room at one moment.

    Attributes:
        id: The room.
        type: What it is for (`conference`, ...).
        people: The people who are connected.
        bots: Ids of the bots of this package that are connected: agents whose track bears our mark.
        disconnected: Ids of agents that are there and not connected, whoever made them.
    """

    id: str
    type: str = "conference"
    people: tuple[Person, ...] = ()
    bots: tuple[str, ...] = ()
    disconnected: tuple[str, ...] = ()
