"""Running the user's hooks: tasks of the call, behind a barrier that no exception passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

logger = logging.getLogger(__name__)

STOP_DEADLINE = 5.0
"""Seconds that `on_stop` and hooks still running may take at the end of the call."""


class Hooks:
    """Starts hooks of a pipeline and owns their tasks.

    Args:
        owner: The pipeline whose methods they are.
        base: The class whose methods do nothing; hooks that are not overridden cost nothing.
        failed: Told of an exception, with the hook's name.
    """

    def __init__(self, owner: object, base: type, failed: Callable[[str, Exception], None]) -> None:
        self._owner = owner
        self._base = base
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, *arguments: Any) -> None:
        """Start the hook `name` as a task, if the pipeline overrides it."""
        if getattr(type(self._owner), name) is getattr(self._base, name):
            return
        self.run(getattr(self._owner, name)(*arguments), name)

    def run(self, work: Awaitable[None], name: str) -> None:
        """Own `work` as a task of the call; a failure is reported under `name`."""
        task = asyncio.get_running_loop().create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Awaitable[None], name: str) -> None:
        try:
            await work
        except Exception as error:
            call = getattr(self._owner, "call_id", None)
            logger.exception("The hook %s failed; the call goes on", name, extra={"call": call})
            self._failed(name, error)

    async def finish(self) -> None:
        """Wait for the tasks, cancel those that outlast the deadline."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=STOP_DEADLINE)
        for task in late:
            logger.warning(
                "The hook %s did not finish within %g s and was cancelled", task.get_name(), STOP_DEADLINE
            )
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
