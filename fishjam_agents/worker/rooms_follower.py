"""The rooms of a Fishjam, kept up to date by notifications and listings, once a second at most."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Collection
from contextlib import suppress

from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import ProtocolError
from fishjam_agents.fishjam import (
    AsyncFishjamClient,
    Disconnected,
    FishjamNotifier,
    InternalServerError,
    NotFoundError,
    Reconnected,
    ServiceUnavailableError,
    UnreachableError,
)
from fishjam_agents.fishjam.notifier import NotifierEvent
from fishjam_agents.worker.rooms_view import Lookup, RoomsView, snapshot

logger = logging.getLogger(__name__)

LISTING_INTERVAL = 30.0
"""Seconds after which all rooms are listed even if nothing was told; up to a fifth more or less, so that
processes do not ask at once (`GET /room` has no pages)."""
SHORTEST_INTERVAL = 1.0
"""Seconds between two looks: what is told meanwhile is one wake-up."""
HURRIED_INTERVAL = 0.2
"""The same for a while after a process has died, or the server is back: people hear nothing meanwhile."""
HURRY = 3.0
"""Seconds of that."""

_PASSING = (UnreachableError, ServiceUnavailableError, InternalServerError, ProtocolError)


class RoomsFollower:
    """Looks at the rooms.

    Args:
        looked: Called after each look, to decide what to do.
        due: Loop time at which to call it again although nothing was told.
        only: Tells the rooms that matter at the moment; None where all do.

    Attributes:
        view: The rooms.
        is_known: Whether all rooms were listed once.
        looks: Number of looks.
        back_at: Loop time at which the server was there again after it was away; infinite while it is away.
    """

    def __init__(
        self,
        looked: Callable[[], None],
        due: Callable[[], float],
        only: Callable[[], Collection[str]] | None = None,
    ) -> None:
        self.view = RoomsView(only)
        self.is_known = False
        self.looks = 0
        self.back_at = -math.inf
        self._looked = looked
        self._due = due
        self._wake = asyncio.Event()
        self._hurried = asyncio.Event()
        self._back = asyncio.Event()
        self._hurry_until = 0.0
        self._backoff = Backoff()

    def notified(self, event: NotifierEvent) -> None:
        """Take what a notifier tells."""
        if isinstance(event, Disconnected):
            self.back_at = math.inf
        elif isinstance(event, Reconnected):
            self.back_at = asyncio.get_running_loop().time()
            self._back.set()
            self.hurry()
        if self.view.notified(event):
            self._wake.set()

    def wake(self) -> None:
        """Look at once, or a second after the last look."""
        self._wake.set()

    def hurry(self) -> None:
        """Look at once, and more often for a while."""
        self._hurry_until = asyncio.get_running_loop().time() + HURRY
        self._hurried.set()
        self._wake.set()

    async def run(self, client: AsyncFishjamClient, notifier: FishjamNotifier) -> None:
        """Follow the rooms until cancelled. A server that is away is waited for.

        Args:
            client: A client of the server.
            notifier: One that somebody else runs, and that tells `notified`.

        Raises:
            HTTPError: The server refuses for a reason that does not pass, such as a wrong token.
        """
        loop = asyncio.get_running_loop()
        # Connected before the first listing, so that nothing falls between the two.
        await notifier.wait_ready()
        failures = 0
        listing_at = loop.time()
        while True:
            self._wake.clear()
            if loop.time() >= listing_at:
                self.view.touch_all()
            lookup = self.view.next_lookup()
            try:
                await self._look(client, lookup)
            except _PASSING as error:
                failures += 1
                pause = self._backoff.delay(failures)
                logger.warning("the rooms cannot be looked up: %s (next attempt in %.1f s)", error, pause)
                self.view.touch_all()
                self._back.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._back.wait()
                continue
            failures = 0
            if lookup.everything:
                listing_at = loop.time() + LISTING_INTERVAL * random.uniform(0.8, 1.2)
                self.is_known = True
            self.looks += 1
            self._looked()
            await self._pause()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(listing_at, self._due())):
                    await self._wake.wait()

    async def _look(self, client: AsyncFishjamClient, lookup: Lookup) -> None:
        if lookup.rooms is None:
            self.view.listed([snapshot(room) async for room in client.iter_all_rooms()])
            return
        looking = [asyncio.create_task(self._look_up(client, room_id)) for room_id in lookup.rooms]
        try:
            for task in looking:
                await task
        finally:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def _look_up(self, client: AsyncFishjamClient, room_id: str) -> None:
        try:
            self.view.looked_up(room_id, await client.get_room(room_id))
        except NotFoundError:
            self.view.looked_up(room_id, None)

    async def _pause(self) -> None:
        """Let what is told be one wake-up, for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SHORTEST_INTERVAL
        while (now := loop.time()) < until:
            if now < self._hurry_until:
                # Set when others' rooms became ours in the middle of the pause.
                until = min(until, now + HURRIED_INTERVAL)
            self._hurried.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._hurried.wait()
