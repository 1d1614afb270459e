"""Age of a journal when the clock of the machine is set."""

from __future__ import annotations

import asyncio

import pytest

from fishjam_agents.journal.entries import UserSaid
from fishjam_agents.journal.journal import Journals
from fishjam_agents.journal.store import CallPlace
from fishjam_agents.testing.memory_journals import MemoryJournals

PLACE = CallPlace("http://fishjam", "room", "bot")
HOUR = 3600.0
DAY = 24 * HOUR


class Clocks:
    """The wall clock, which is set, and the one that nobody sets."""

    wall = 1_800_000_000.0
    steady = 1000.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 3650 * DAY])
@pytest.mark.parametrize(("away", "goes_on"), [(30.0, True), (90.0, False)])
def test_a_call_goes_on_by_how_long_it_was_lost(jump: float, away: float, goes_on: bool) -> None:
    async def scenario() -> None:
        clocks = Clocks()
        store = MemoryJournals()
        journals = Journals(store, 60.0, 7 * DAY, lambda: clocks.wall, lambda: clocks.steady)
        async with journals:
            first = await journals.open(PLACE)
            assert first is not None
            first.put(UserSaid(first.now(), "hello", "ann"))
            assert await first.written()
            clocks.pass_(away / 2)
            clocks.wall += jump
            clocks.pass_(away / 2)
            second = await journals.open(PLACE)
            assert second is not None
            # A clock that was put back makes all look younger: calls may go on that were lost for longer.
            assert (second.call == first.call) == (goes_on or jump < 0)

    asyncio.run(scenario())


def test_no_journal_is_deleted_for_a_clock_that_was_put_forward() -> None:
    async def scenario() -> None:
        clocks = Clocks()
        store = MemoryJournals()
        journals = Journals(store, 60.0, 7 * DAY, lambda: clocks.wall, lambda: clocks.steady)
        journal = await journals.open(PLACE)
        assert journal is not None
        clocks.wall += 3650 * DAY
        async with journals:
            await asyncio.sleep(0.01)
            assert len(await store.calls()) == 1
        clocks.pass_(8 * DAY)
        async with Journals(store, 60.0, 7 * DAY, lambda: clocks.wall, lambda: clocks.steady):
            await asyncio.sleep(0.01)
            assert not await store.calls()

    asyncio.run(scenario())
