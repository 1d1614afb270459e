"""The server's work in the background: one TaskGroup with one owner, ended when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Runs coroutines between `start` and `stop`, which may be called from different tasks."""

    def __init__(self) -> None:
        self._owner: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether `spawn` takes work."""
        return self._group is not None

    async def start(self) -> None:
        """Take work from now on."""
        self._stopping = asyncio.Event()
        ready = asyncio.Event()
        self._owner = asyncio.create_task(self._own(ready), name="embedded server")
        await ready.wait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which handles its own failures; discarded when nothing runs."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    async def stop(self, seconds: float) -> None:
        """Wait up to `seconds` for what runs, then cancel the rest. Does nothing when stopped."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._stopping.set()
        await asyncio.wait({owner}, timeout=seconds)
        owner.cancel()
        (failure,) = await asyncio.gather(owner, return_exceptions=True)
        if failure is not None and not isinstance(failure, asyncio.CancelledError):
            raise failure

    async def _own(self, ready: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as self._group:
                ready.set()
                await self._stopping.wait()
                # What is still running may spawn nothing more: the group would never end.
                self._group = None
        finally:
            self._group = None
