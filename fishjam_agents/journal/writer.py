"""Writes the journals of a process: entries wait in memory, never the call."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from fishjam_agents.backoff import Backoff
from fishjam_agents.journal.entries import JournalEntry
from fishjam_agents.journal.store import CallKey, JournalError, JournalStore

logger = logging.getLogger(__name__)

MOST_WAITING = 20_000
"""Entries that may wait for a store that hangs; the oldest go first."""
_BATCH = 500
"""Entries of one commit."""
CLOSE_DEADLINE = 3.0
"""Seconds that the last entries have at the end of the program."""


class JournalWriter:
    """Entries on their way to the store, in order. What the store does not take is tried again.

    Args:
        store: The store.
        lost: Called with the right to a journal that is ours no longer.
    """

    def __init__(self, store: JournalStore, lost: Callable[[CallKey], None] = lambda key: None) -> None:
        self._store = store
        self._lost = lost
        self._waiting: deque[tuple[CallKey, JournalEntry]] = deque()
        self._begun = self._done = 0
        self._more = asyncio.Event()
        self._written: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff(first=0.2, longest=5.0)
        self._failures = 0

    @property
    def is_failing(self) -> bool:
        """True while the store takes nothing: nobody should wait for it."""
        return self._failures > 0

    def put(self, key: CallKey, entry: JournalEntry) -> None:
        """Have an entry written. Never waits."""
        self._waiting.append((key, entry))
        self._begun += 1
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._done += 1
            if self._done % _BATCH == 0:
                logger.warning("the journal's store takes nothing: the oldest entries are dropped")
        self._more.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write(), name="journal")

    async def written(self, deadline: float) -> bool:
        """Wait until all entries so far are on disk; false if they are not within so many seconds."""
        if self._done >= self._begun:
            return True
        done = asyncio.get_running_loop().create_future()
        self._written.append((self._begun, done))
        try:
            async with asyncio.timeout(deadline):
                await done
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Write what waits, for a while, and end."""
        if not await self.written(CLOSE_DEADLINE):
            logger.warning("%d entries of the journal were not written", len(self._waiting))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(len(self._waiting), _BATCH))]
                before = self._begun - len(self._waiting)
                try:
                    lost = await self._store.append(batch)
                except JournalError as error:
                    self._failures += 1
                    if self._failures == 1 or self._failures % 20 == 0:
                        logger.warning("calls go on without their journal for now: %s", error)
                    await asyncio.sleep(self._backoff.delay(self._failures))
                    continue
                except Exception:
                    logger.exception("%d entries of the journal are left out: its store failed", len(batch))
                    lost = frozenset()
                else:
                    if self._failures:
                        logger.info("the journal's store takes entries again")
                self._failures = 0
                # Some of them may have been dropped meanwhile.
                dropped = self._done - before
                for _ in range(len(batch) - dropped):
                    self._waiting.popleft()
                    self._done += 1
                for key in lost:
                    self._lost(key)
                self._tell()

    def _tell(self) -> None:
        while self._written and self._written[0][0] <= self._done:
            done = self._written.popleft()[1]
            if not done.done():
                done.set_result(None)
