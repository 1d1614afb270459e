"""Entries on their way to a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set

import pytest

from fishjam_agents.journal.entries import JournalEntry, UserSaid
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError
from fishjam_agents.journal.writer import JournalWriter
from fishjam_agents.testing.memory_journals import MemoryJournals


def test_a_store_with_a_bug_costs_what_it_was_given_and_nothing_that_comes_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(MemoryJournals):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[Exception] = [JournalError("it is away"), ZeroDivisionError("a bug")]

        async def append(self, batch: Sequence[tuple[CallKey, JournalEntry]]) -> Set[CallKey]:
            if self.errors:
                raise self.errors.pop(0)
            return await super().append(batch)

    async def scenario() -> list[JournalEntry]:
        store, place = Broken(), CallPlace("http://fishjam", "room", "bot")
        key = (await store.open(place, 0.0, 60.0)).key
        writer = JournalWriter(store)
        for text in ("lost", "kept"):
            writer.put(key, UserSaid(1.0, text, "ann"))
            assert await writer.written(10.0)
        await writer.close()
        return [entry for _, entry in (await store.open(place, 1.0, 60.0)).entries]

    with caplog.at_level("INFO", "fishjam_agents.journal"):
        entries = asyncio.run(scenario())
    assert [entry.text for entry in entries if isinstance(entry, UserSaid)] == ["kept"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "calls go on without their journal for now: it is away",
        "1 entries of the journal are left out: its store failed",
    ]
