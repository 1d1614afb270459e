"""Journals in memory: for tests in virtual time, and the smallest store to copy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

from fishjam_agents.journal.entries import CallEnded, JournalEntry
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError, JournalSummary, OpenedJournal


@dataclass(slots=True)
class _Call:
    summary: JournalSummary
    entries: list[tuple[int, JournalEntry]] = field(default_factory=list)


class MemoryJournals:
    """A `JournalStore` of this process.

    Attributes:
        delay: Seconds that each write takes.
        is_away: Whether it takes nothing at the moment.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.is_away = False
        self._calls: dict[str, _Call] = {}
        self._ids = (f"call-{number}" for number in itertools.count(1))

    async def open(self, place: CallPlace, now: float, resume: float) -> OpenedJournal:
        """Part of `JournalStore`."""
        for call in reversed(self._calls.values()):
            known = call.summary
            if known.place == place and not known.ended and known.last >= now - resume:
                call.summary = replace(known, epochs=known.epochs + 1, last=now)
                return OpenedJournal(CallKey(known.call, known.epochs + 1), tuple(call.entries))
        id = next(self._ids)
        self._calls[id] = _Call(JournalSummary(id, place, 1, now, now, False, 0))
        return OpenedJournal(CallKey(id, 1))

    async def append(self, entries: Sequence[tuple[CallKey, JournalEntry]]) -> Set[CallKey]:
        """Part of `JournalStore`."""
        await asyncio.sleep(self.delay)
        if self.is_away:
            raise JournalError("the store is away")
        lost: set[CallKey] = set()
        for key, entry in entries:
            call = self._calls.get(key.call)
            if call is None or call.summary.epochs != key.epoch:
                lost.add(key)
                continue
            call.entries.append((key.epoch, entry))
            ended = call.summary.ended or isinstance(entry, CallEnded)
            last = max(call.summary.last, entry.at)
            call.summary = replace(call.summary, last=last, ended=ended, entries=len(call.entries))
        return lost

    async def read(self, call: str) -> Sequence[tuple[int, JournalEntry]]:
        """Part of `JournalStore`."""
        known = self._calls.get(call)
        return [] if known is None else list(known.entries)

    async def calls(self) -> Sequence[JournalSummary]:
        """Part of `JournalStore`."""
        return [call.summary for call in self._calls.values()]

    async def delete(self, call: str) -> bool:
        """Part of `JournalStore`."""
        return self._calls.pop(call, None) is not None

    async def purge(self, before: float) -> int:
        """Part of `JournalStore`."""
        old = [id for id, call in self._calls.items() if call.summary.last < before]
        for id in old:
            del self._calls[id]
        return len(old)

    async def close(self) -> None:
        """Part of `JournalStore`."""
