"""The event loop that long-running commands run on, and what would hold it up."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_COLLECTIONS = (8000, 1, 0)
"""Thresholds of the collections of garbage (`gc.set_threshold`). The youngest is of more objects than wait at
once for a turn of a loop with hundreds of calls: with CPython's 700 their frames were looked at in every
turn, 3 % of all time, and not one was garbage. A full one comes after some 32,000 objects that are not freed,
a good part of which may be garbage of lost connections, whose exceptions, clients and protocols hold each
other; with CPython's 10 and 10 after 93,000. A process with 300,000 objects makes no more of them: a quarter
as many have to have grown old first."""

_END_DEADLINE = 2.0
"""Seconds in which tasks that are left at the end may end; what does not is left behind."""


def run_on_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop where it is installed (extra `uvloop`), else on asyncio's own loop.

    What uvloop takes off a process with a hundred calls is in docs/benchmarks.md. Unlike `asyncio.run` this
    comes to an end whatever is left running: user code that swallows its cancellation, or a thread.
    """
    if find_spec("uvloop") is None:
        loop = asyncio.new_event_loop()
    else:
        import uvloop

        loop = uvloop.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        try:
            loop.run_until_complete(_end_tasks())
        finally:
            asyncio.set_event_loop(None)
            if not asyncio.all_tasks(loop):
                loop.close()


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, stuck = await asyncio.wait(left, timeout=_END_DEADLINE)
        for task in stuck:
            logger.error("%s does not end though it was cancelled, and is left behind", task.get_name())
    await asyncio.get_running_loop().shutdown_asyncgens()


def freeze_gc() -> None:
    """Let collections of garbage look at nothing that is loaded by now; to be called when all is.

    A full one looks at every object of the process while every call waits, and there are so many objects once
    bot, server and a vendor's client are loaded that it is heard. Setting them aside takes no time. What is
    left to look at is little, and is looked at more often than CPython does by itself.
    """
    gc.freeze()
    # It has nothing to look at. CPython makes the next full one when a quarter as many objects have grown
    # old as the last one left (`long_lived_total` in gcmodule.c, since 3.13 in gc.c): without it, of all that
    # is loaded.
    gc.collect()
    gc.set_threshold(*_COLLECTIONS)
