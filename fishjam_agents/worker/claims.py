"""The port to the store in which processes note who serves which room."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from fishjam_agents.errors import FishjamAgentsError


class ClaimLostError(FishjamAgentsError):
    """Another process has taken the room over: this one was not heard of for too long."""


class ClaimStoreError(FishjamAgentsError):
    """The store of claims cannot be used."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim of a room is ours.

    Attributes:
        orphan: The agent of the holder before, which may still be in the room: to be deleted before another
            one is made.
    """

    orphan: str | None = None


@dataclass(frozen=True, slots=True)
class HeldElsewhere:
    """Somebody else holds the claim.

    Attributes:
        seconds: When to ask again: it ends by then unless it is renewed.
    """

    seconds: float


class Claims(Protocol):
    """Claims of one process. A claim ends when it is not renewed in time.

    The rule that keeps two bots out of one room: a bot connects only after its agent was noted under a claim
    that holds (`note_agent`), and who takes a claim over deletes the agent noted there before making its own.

    Every method raises `ClaimStoreError` where the store cannot be used.
    """

    @property
    def renew_interval(self) -> float:
        """Seconds after which claims are to be renewed."""
        ...

    @property
    def clear_interval(self) -> float:
        """Seconds after which `take_expired` is to be asked again."""
        ...

    async def acquire(self, room_id: str) -> Claimed | HeldElsewhere:
        """Take the claim of a room that nobody holds."""
        ...

    async def note_agent(self, room_id: str, agent_id: str | None) -> bool:
        """Note our agent in a room, None when it is gone; false, and nothing noted, if the claim is lost."""
        ...

    async def renew(self) -> Set[str]:
        """Renew our claims; returns the rooms of those that still hold."""
        ...

    async def release(self, room_id: str) -> None:
        """Give a claim up; does nothing where it is lost already."""
        ...

    async def take_expired(self) -> Sequence[tuple[str, str | None]]:
        """Take all claims that have ended without being given up: their rooms, with the agents noted there.

        So have those of a process that is known to be gone, where the store can know.

        Each is ours then; to be released when its agent is deleted.
        """
        ...

    async def close(self) -> None:
        """Give every claim up and let go of the store."""
        ...


class ProcessClaims(Claims, Protocol):
    """Claims in a store that programs with several processes use, too."""

    @property
    def owner(self) -> str:
        """Name of the process; no other one has it."""
        ...

    async def expire(self, owner: str) -> None:
        """End the claims of a process that is known to be gone; who takes them deletes its agents."""
        ...
