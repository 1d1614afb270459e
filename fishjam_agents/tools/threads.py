"""Threads for tools that are plain functions."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from fishjam_agents.tools.context import ToolError

MAX_THREADS = 32
"""Threads of one tool at once, those included that were given up and still hang."""


class DaemonThreads(Executor):
    """A daemon thread for each function.

    The loop's own executor has few threads and waits for all of them when the process ends: a tool that hangs
    would keep the next ones from running, and the bot from exiting.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start `fn` in a thread of its own."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
                failure: BaseException = error
                if isinstance(error, (SystemExit, KeyboardInterrupt, StopIteration)):
                    # These end more than the one task they would be raised in.
                    failure = RuntimeError(f"it raised {type(error).__name__}")
                future.set_exception(failure)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="tool", daemon=True).start()
        return future


_THREADS = DaemonThreads()


class Threads:
    """The threads of one tool, bounded: nothing can end one that hangs."""

    def __init__(self) -> None:
        self._running: set[object] = set()

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in a thread. Cancelling leaves the thread to itself.

        Raises:
            ToolError: Too many of them have not come back.
        """
        if len(self._running) >= MAX_THREADS:
            raise ToolError(f"{len(self._running)} calls of it have not come back: do not call it again")
        thread = object()

        def work() -> Any:
            try:
                return function()
            finally:
                self._running.discard(thread)

        self._running.add(thread)
        return await in_thread(work)


async def in_thread(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a function in a thread. Cancelling leaves the thread to itself: nothing can end one."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, lambda: context.run(function, **arguments))
