"""The port to the store in which journals are kept."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.journal.entries import JournalEntry


class JournalError(FishjamAgentsError):
    """The store of journals cannot be used."""


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Place of a call: what a process that takes it over knows of it.

    Attributes:
        fishjam: Base URL of the server.
        room: The room.
        bot: The kind of bot.
    """

    fishjam: str
    room: str
    bot: str


@dataclass(frozen=True, slots=True)
class CallKey:
    """The right to write the journal of a call.

    Attributes:
        call: Its id, the same for all processes that served it.
        epoch: Number of the process, from 1. With the next one the right is lost.
    """

    call: str
    epoch: int


@dataclass(frozen=True, slots=True)
class OpenedJournal:
    """A journal that was opened for writing.

    Attributes:
        key: The right to write it.
        entries: Entries of the processes before, each with its epoch; empty for a new call.
    """

    key: CallKey
    entries: Sequence[tuple[int, JournalEntry]] = ()


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """A journal as it is listed. Times in seconds since the epoch.

    Attributes:
        call: Id of the call.
        place: Its place.
        epochs: Processes that served it.
        begun: When it began.
        last: When the last entry was written.
        ended: Whether it is over for good.
        entries: Number of entries.
    """

    call: str
    place: CallPlace
    epochs: int
    begun: float
    last: float
    ended: bool
    entries: int


class JournalStore(Protocol):
    """Journals of many calls, shared by all processes that may take a call over.

    Entries are only ever appended, and deleted with their call. Every method raises `JournalError` where the
    store cannot be used, and all but `append` have a deadline of their own.
    """

    async def open(self, place: CallPlace, now: float, resume: float) -> OpenedJournal:
        """Open the journal of a call.

        Args:
            place: Its place.
            now: Seconds since the epoch.
            resume: Seconds since the last entry up to which a call that has not ended goes on; else a new
                one begins.
        """
        ...

    async def append(self, entries: Sequence[tuple[CallKey, JournalEntry]]) -> Set[CallKey]:
        """Write entries, all or none; returns once they are on disk.

        It fails only if nothing was written and nothing will be: the same entries are given again then.

        Returns:
            Those whose right was lost, or whose journal was deleted: nothing of theirs was written.
        """
        ...

    async def read(self, call: str) -> Sequence[tuple[int, JournalEntry]]:
        """Return the entries of a call, each with its epoch; empty where there is none."""
        ...

    async def calls(self) -> Sequence[JournalSummary]:
        """List the journals, the oldest first."""
        ...

    async def delete(self, call: str) -> bool:
        """Delete the journal of a call; false where there is none."""
        ...

    async def purge(self, before: float) -> int:
        """Delete journals whose last entry is older; returns how many."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...
