"""Removal of what a request without an answer may have made, found by comparison.

Fishjam gives no mark to tell one's own by: an agent carries no metadata, a room none either. So what is new,
belongs to nobody and stays so for a moment is taken for it; where that is not one thing alone, nothing is
removed and a warning says what to look at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, NotFoundError, UnreachableError

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3.0
"""Time that somebody else may take to use what they have made: a bot connects its agent at once."""

HURRY_SECONDS = 1.0
"""The same when the program is on its way out."""

LOOK_DEADLINE = 5.0
"""Seconds each look at the server, and the removal, may take."""

Look = Callable[[], Awaitable[frozenset[str]]]
"""The ids of what exists and is used by nobody."""


@asynccontextmanager
async def unanswered(
    what: str, every: Look, unused: Look, remove: Callable[[str], Awaitable[None]]
) -> AsyncIterator[None]:
    """Make something in the context; if the answer is lost, what was made all the same is removed.

    Args:
        what: Its name in messages: "a room", "an agent".
        every: All of its kind, as ids.
        unused: Those of them that nobody uses.
        remove: Removes one.
    """
    try:
        async with asyncio.timeout(LOOK_DEADLINE):
            before = await every()
    except (FishjamAgentsError, TimeoutError):
        # The request itself will tell what is wrong.
        before = None
    try:
        yield
    except (UnreachableError, asyncio.CancelledError) as error:
        sent = not isinstance(error.__cause__, httpx.ConnectError)
        if before is not None and sent:
            grace = GRACE_SECONDS if isinstance(error, UnreachableError) else HURRY_SECONDS
            await _clean_up(what, before, unused, remove, grace)
        raise


async def _clean_up(
    what: str, before: frozenset[str], unused: Look, remove: Callable[[str], Awaitable[None]], grace: float
) -> None:
    try:
        async with asyncio.timeout(2 * LOOK_DEADLINE + grace):
            new = await unused() - before
            if not new:
                return
            await asyncio.sleep(grace)
            new &= await unused()
            if len(new) == 1:
                (id,) = new
                await remove(id)
                logger.info("removed %s that was made although no answer came: %s", what, id)
            elif new:
                logger.warning(
                    "the server may have made %s although no answer came, one of %s: delete it if it is "
                    "nobody's",
                    what,
                    ", ".join(sorted(new)),
                )
    except NotFoundError:
        logger.debug("what was made without an answer is gone")
    except (FishjamAgentsError, TimeoutError) as error:
        logger.warning("the server may have made %s although no answer came (%s): look there", what, error)


def new_room(client: AsyncFishjamClient) -> AbstractAsyncContextManager[None]:
    """For the making of a room: nobody uses one that is empty."""

    async def every() -> frozenset[str]:
        return frozenset(room.id for room in await client.get_all_rooms())

    async def unused() -> frozenset[str]:
        return frozenset(room.id for room in await client.get_all_rooms() if not room.peers)

    return unanswered("a room", every, unused, client.delete_room)


def new_agent(client: AsyncFishjamClient, room_id: str) -> AbstractAsyncContextManager[None]:
    """For the making of an agent: nobody uses one that is not connected."""

    async def every() -> frozenset[str]:
        return frozenset(peer.id for peer in (await client.get_room(room_id)).peers)

    async def unused() -> frozenset[str]:
        peers = (await client.get_room(room_id)).peers
        return frozenset(peer.id for peer in peers if peer.type_ != "webrtc" and peer.status != "connected")

    async def remove(peer_id: str) -> None:
        await client.delete_peer(room_id, peer_id)

    return unanswered("an agent", every, unused, remove)
