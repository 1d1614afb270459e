"""Claims of replicas at one ledger, without Ray between them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: uv sync --all-packages")

from fishjam_agents_ray.claims import LedgerClaims
from fishjam_agents_ray.handles import LedgerHandle, LedgerLostError
from fishjam_agents_ray.ledger import Ledger
from fishjam_agents_ray.reports import LeftCalls, Report, ReportedCall

from fishjam_agents.worker.claims import Claimed, ClaimStoreError, HeldElsewhere


class Here(LedgerHandle):
    """A ledger in this process, which may be away."""

    def __init__(self) -> None:
        super().__init__("test")
        self.ledger = Ledger()
        self.epoch = self.ledger.begin("watcher")
        self.ledger.settle(self.epoch)
        self.is_away = False

    async def ask(self, method: str, *arguments: Any, deadline: float = 2.0) -> Any:
        if self.is_away:
            raise LedgerLostError("the ledger is away")
        return getattr(self.ledger, method)(*arguments)


def test_of_two_replicas_one_gets_the_room_until_it_gives_it_up() -> None:
    async def scenario() -> None:
        here = Here()
        one, other = LedgerClaims(here, "one"), LedgerClaims(here, "other")
        assert await one.acquire("room") == Claimed()
        assert isinstance(await other.acquire("room"), HeldElsewhere)
        assert await one.note_agent("room", "agent")
        assert not await other.note_agent("room", "agent")
        assert await one.renew() == {"room"}
        await one.release("room")
        assert await one.renew() == set()
        assert await other.acquire("room") == Claimed()
        await other.close()
        assert await one.acquire("room") == Claimed()

    asyncio.run(scenario())


def test_a_replica_that_was_declared_dead_connects_no_bot() -> None:
    async def scenario() -> None:
        here = Here()
        zombie = LedgerClaims(here, "zombie")
        assert await zombie.acquire("room") == Claimed()
        here.ledger.report("zombie", Report(1, here.epoch, [ReportedCall("room", "bot")]))
        here.ledger.bury(here.epoch, ["zombie"], LeftCalls())
        # It is on its way into the room, and wakes up just before its bot connects.
        assert not await zombie.note_agent("room", "agent")
        assert isinstance(await zombie.acquire("other"), HeldElsewhere)

    asyncio.run(scenario())


def test_a_room_that_another_replica_has_is_lost_with_the_next_look() -> None:
    async def scenario() -> None:
        claims = LedgerClaims(Here(), "one")
        await claims.acquire("room")
        await claims.acquire("second")
        claims.lose(["room", "foreign"])
        assert await claims.renew() == {"second"}
        assert await claims.take_expired() == ()

    asyncio.run(scenario())


def test_a_ledger_that_is_away_is_a_store_that_cannot_be_used() -> None:
    async def scenario() -> None:
        here = Here()
        claims = LedgerClaims(here, "one")
        here.is_away = True
        with pytest.raises(ClaimStoreError, match="the ledger is away"):
            await claims.acquire("room")
        with pytest.raises(ClaimStoreError, match="the ledger is away"):
            await claims.note_agent("room", "agent")
        await claims.release("room")

    asyncio.run(scenario())
