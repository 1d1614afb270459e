"""Tasks that end together: the halves of a connection, and work that is waited for until it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any


async def race(name: str, **work: Coroutine[Any, Any, None]) -> None:
    """Run coroutines beside one another until one of them ends; the others are cancelled, and waited for.

    Args:
        name: What the names of their tasks begin with.
        work: The coroutines, by the rest of the name.

    Raises:
        Exception: What the first to end has raised; of several at once, the one that is named first here.
    """
    tasks = [asyncio.create_task(each, name=f"{name}-{kind}") for kind, each in work.items()]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_ready(work: asyncio.Task[None], ready: Awaitable[object]) -> None:
    """Wait until work that goes on is ready.

    Args:
        work: Its task, which is left running.
        ready: Done when it is.

    Raises:
        Exception: What ended the work before that.
    """
    waiting = asyncio.ensure_future(ready)
    try:
        await asyncio.wait({waiting, work}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            await work
    finally:
        waiting.cancel()
