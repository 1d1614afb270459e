"""Journals of a process: opened for each call, written behind it, purged by their age."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from fishjam_agents.backends.conversation import PastConversation
from fishjam_agents.journal.entries import CallEnded, JournalEntry, PeerCame
from fishjam_agents.journal.recovery import recover
from fishjam_agents.journal.store import CallKey, CallPlace, JournalError, JournalStore, OpenedJournal
from fishjam_agents.journal.writer import JournalWriter

logger = logging.getLogger(__name__)

INTENT_DEADLINE = 2.0
"""Seconds that a tool waits for its intent to be on disk; then it starts nevertheless."""
OPEN_DEADLINE = 2.0
"""Seconds that a call waits for what was said before."""
PURGE_INTERVAL = 3600.0


class CallJournal:
    """The journal of one call.

    Args:
        key: The right to write it.
        writer: Writes it.
        clock: Seconds since the epoch.
        earlier: What was said before this process; None in a new call.

    Attributes:
        call: Id of the call, the same for all processes that serve it.
        earlier: What was said before this process; None in a new call.
    """

    def __init__(
        self,
        key: CallKey,
        writer: JournalWriter,
        clock: Callable[[], float] = time.time,
        earlier: PastConversation | None = None,
    ) -> None:
        self.call = key.call
        self.earlier = earlier
        self._key = key
        self._writer = writer
        self._clock = clock
        self._lost = False

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    def put(self, entry: JournalEntry) -> None:
        """Have an entry written. Never waits."""
        if not self._lost:
            self._writer.put(self._key, entry)

    async def written(self) -> bool:
        """Wait until all entries so far are on disk; false if that takes too long, or the store is away."""
        if self._lost:
            return True
        return not self._writer.is_failing and await self._writer.written(INTENT_DEADLINE)

    def end(self, reason: str) -> None:
        """The call is over for good: no process goes on with it."""
        self.put(CallEnded(self.now(), reason))

    def lose(self) -> None:
        """Another process has gone on with the call, or the journal was deleted: write no more."""
        self._lost = True


class Journals:
    """Journals of the calls of one process; a context manager.

    Args:
        store: Where they are kept. It is closed at the end.
        resume: Seconds after which a lost call begins anew.
        keep: Seconds after their last entry in which they are kept.
        clock: Seconds since the epoch.
        steady: Seconds on a clock that nobody sets; None is the machine's, or a `clock` that is given.
    """

    def __init__(
        self,
        store: JournalStore,
        resume: float,
        keep: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.store = store
        self._resume = resume
        self._keep = keep
        self._clock = clock
        self._steady = steady or (time.monotonic if clock is time.time else clock)
        self._offset = clock() - self._steady()
        self._open: weakref.WeakValueDictionary[CallKey, CallJournal] = weakref.WeakValueDictionary()
        self._writer = JournalWriter(store, self._lost)
        self._purging: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to delete what is too old."""
        self._purging = asyncio.create_task(self._purge(), name="journal's age")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, and close the store."""
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.gather(self._purging, return_exceptions=True)
        await self._writer.close()
        try:
            await self.store.close()
        except (JournalError, TimeoutError) as failure:
            logger.warning("%s", failure)

    async def open(self, place: CallPlace, present: Collection[str] | None = None) -> CallJournal | None:
        """Open the journal of a call: where one in that place was lost a moment ago, it goes on.

        Args:
            place: The place.
            present: Peers that are there, where that is known. Where none of those who took part is among
                them a new call begins: nobody is told what a stranger has said.

        Returns:
            The journal; None where the store cannot be used, and the call goes on without.
        """
        # Also what this process wrote of the call before it failed is part of what was said.
        if not self._writer.is_failing:
            await self._writer.written(OPEN_DEADLINE)
        try:
            async with asyncio.timeout(OPEN_DEADLINE):
                opened = await self.store.open(place, self._now(), self._resume)
                if present is not None and _is_of_others(opened, present):
                    await self.store.append(
                        [(opened.key, CallEnded(self._clock(), "all who took part left"))]
                    )
                    opened = await self.store.open(place, self._now(), self._resume)
        except (JournalError, TimeoutError) as error:
            logger.warning("the call has no journal: %s", str(error) or "its store does not answer")
            return None
        earlier = _recovered(opened, self._clock()) if opened.key.epoch > 1 else None
        journal = CallJournal(opened.key, self._writer, self._clock, earlier)
        self._open[opened.key] = journal
        return journal

    async def is_open(self, place: CallPlace) -> bool:
        """Return whether a call in a place was lost a moment ago and would go on; false if unknown."""
        try:
            async with asyncio.timeout(OPEN_DEADLINE):
                calls = await self.store.calls()
        except (JournalError, TimeoutError) as error:
            logger.warning("%s", str(error) or "the journal's store does not answer")
            return False
        since = self._now() - self._resume
        return any(call.place == place and not call.ended and call.last >= since for call in calls)

    def _now(self) -> float:
        """Seconds since the epoch, as if the clock had not been put forward since this process began.

        By it nothing is older than it is: a clock that is set by years deletes no journal, and ends none.
        """
        return min(self._clock(), self._steady() + self._offset)

    def _lost(self, key: CallKey) -> None:
        journal = self._open.get(key)
        if journal is not None:
            logger.warning("the journal of the call %s is written by another process, or deleted", key.call)
            journal.lose()

    async def _purge(self) -> None:
        while True:
            try:
                purged = await self.store.purge(self._now() - self._keep)
                if purged:
                    logger.info("%d journals were older than journal.keep and are deleted", purged)
            except (JournalError, TimeoutError) as error:
                logger.warning("old journals are not deleted yet: %s", error)
            await asyncio.sleep(PURGE_INTERVAL)


def _recovered(opened: OpenedJournal, now: float) -> PastConversation | None:
    try:
        return recover(opened.entries, now)
    except Exception:
        # A file that was tampered with must not keep a room without a bot.
        logger.exception("the journal of the call %s makes no sense: it begins anew", opened.key.call)
        return None


def _is_of_others(opened: OpenedJournal, present: Collection[str]) -> bool:
    """Return whether none of those who took part in a call is there any more."""
    peers = {entry.peer for _, entry in opened.entries if isinstance(entry, PeerCame)}
    return bool(peers) and peers.isdisjoint(present)
