"""The server's work in the background: owned in one place, contained, and ended with the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Tasks:
    """Runs coroutines between `start` and `stop`, which may be called from different tasks.

    Work that fails is logged, and ends nothing but itself.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False

    @property
    def running(self) -> bool:
        """True while `spawn` takes work."""
        return self._running

    def start(self) -> None:
        """Take work from now on."""
        self._running = True

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Run `work`; discarded when nothing runs.

        Args:
            work: What to do.
            what: Its name, for the log: "the webhooks of room r1".
        """
        if not self._running:
            work.close()
            return
        task = asyncio.create_task(work, name=f"embedded server: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def stop(self, seconds: float) -> None:
        """Wait up to `seconds` for what runs, then cancel the rest. Does nothing when stopped."""
        self._running = False
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            what = task.get_name().removeprefix("embedded server: ")
            _log.error("%s failed; everything else goes on", what, exc_info=error)
