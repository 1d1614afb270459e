"""Ending what nobody wants any more, also where a part of a cascade does not let itself be ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from fishjam_agents.backends.cascade.speech import Speech

logger = logging.getLogger(__name__)
T = TypeVar("T")

CLOSE_DEADLINE = 0.5
"""Seconds in which a part has to close what it has open; then it is cancelled once more, which ends a
`finally` that waits, and given as long again."""

ENDING = 3 * CLOSE_DEADLINE
"""Seconds in which a task has to end that ends others in this way."""


async def end(*tasks: asyncio.Task[Any], deadline: float = CLOSE_DEADLINE) -> None:
    """Cancel tasks and wait for them, twice `deadline` at most; what goes on after that is left behind.

    What they raise is nobody's concern any more.
    """
    pending = {task for task in tasks if not task.done()}
    for again in (False, True):
        if not pending:
            break
        for task in pending:
            # One that was cancelled already is closing what it has open.
            if again or not task.cancelling():
                task.cancel()
        _, pending = await asyncio.wait(pending, timeout=deadline)
    for task in tasks:
        if task in pending:
            logger.warning("A part goes on when it is cancelled (%s) and is left behind", task.get_name())
        elif not task.cancelled():
            task.exception()


async def within(deadline: float, waiting: Awaitable[T], speech: Speech | None = None) -> T:
    """Await a part, which has a deadline and `CLOSE_DEADLINE` to close what it has open when that is over.

    Args:
        deadline: Seconds.
        waiting: What it does.
        speech: What it hears: while that goes on, no time counts.

    Raises:
        TimeoutError: It was over.
    """
    loop = asyncio.get_running_loop()
    # The outer one cancels a part that waits in a `finally` after the inner one has cancelled it.
    async with asyncio.timeout(None) as outer, asyncio.timeout(None) as inner:

        def count() -> None:
            outer.reschedule(loop.time() + deadline + CLOSE_DEADLINE)
            inner.reschedule(loop.time() + deadline)

        if speech is None:
            count()
            return await waiting
        forget = speech.when_over(count)
        try:
            return await waiting
        finally:
            forget()
