"""Resources that a worker makes on the media server, and takes away again on every way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import NotFoundError

logger = logging.getLogger(__name__)

REMOVE_DEADLINE = 2.0
"""Seconds one removal may take; the program is on its way out and somebody waits for it."""

T = TypeVar("T")


@asynccontextmanager
async def managed_resource(
    what: str, make: Coroutine[Any, Any, T], remove: Callable[[T], Awaitable[None]]
) -> AsyncIterator[T]:
    """Make something on the server; leaving the context removes it.

    A cancellation while the request is under way waits for its answer, because the server may have made
    the thing all the same; one during the removal lets it come to its end. A removal that fails is a warning
    and hides no other error.

    Args:
        what: Its name in the warning: "the room", "the agent".
        make: Makes it.
        remove: Removes it.
    """
    making = asyncio.create_task(make, name=f"make {what}")
    try:
        yield await asyncio.shield(making)
    finally:
        if not making.done():
            await asyncio.wait([making], timeout=REMOVE_DEADLINE)
        if not making.done():
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        elif not making.cancelled() and making.exception() is None:
            await _uncancelled(_remove(what, remove(making.result())))


async def _uncancelled(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _remove(what: str, removal: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(REMOVE_DEADLINE):
            await removal
    except NotFoundError:
        logger.debug("%s was gone already", what)
    except TimeoutError:
        logger.warning("could not delete %s: the server did not answer in %g s", what, REMOVE_DEADLINE)
    except FishjamAgentsError as error:
        logger.warning("could not delete %s: %s", what, error)
