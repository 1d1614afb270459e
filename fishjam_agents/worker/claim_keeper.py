"""Claims of a worker, kept while its calls go on; and what processes that are gone left behind, cleared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.worker.claims import Claims
from fishjam_agents.worker.room_call import RoomCall, delete_agent

logger = logging.getLogger(__name__)


class ClaimKeeper:
    """Renews claims.

    Args:
        claims: The claims.
        calls: The calls of the worker by their room, as they are at any time.
        lost: Called with a call whose room another process has taken over.
        cleared: Called with a room that is free again.
    """

    def __init__(
        self,
        claims: Claims,
        calls: Mapping[str, RoomCall],
        lost: Callable[[RoomCall], None],
        cleared: Callable[[str], None],
    ) -> None:
        self._claims = claims
        self._calls = calls
        self._lost = lost
        self._cleared = cleared
        self._to_clear: dict[str, str | None] = {}

    async def run(self, client: AsyncFishjamClient) -> None:
        """Renew claims until cancelled."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._claims.renew_interval
        while True:
            await self._clear(client)
            await asyncio.sleep(self._claims.clear_interval)
            if loop.time() < renew_at:
                continue
            renew_at = loop.time() + self._claims.renew_interval
            # Those that are claimed while the store is asked are in its answer or not: they are no matter.
            claimed = [call for call in self._calls.values() if call.is_claimed]
            try:
                held = await self._claims.renew()
            except FishjamAgentsError as error:
                logger.warning("%s", error)
                continue
            for call in claimed:
                room_id = call.state.room_id
                if room_id not in held and self._calls.get(room_id) is call:
                    logger.warning("another process has taken the room over", extra={"room": room_id})
                    self._lost(call)

    async def _clear(self, client: AsyncFishjamClient) -> None:
        """Delete the agents that crashed processes left behind, also in rooms that need no bot any more."""
        try:
            self._to_clear |= dict(await self._claims.take_expired())
            for room_id, agent_id in list(self._to_clear.items()):
                if agent_id is not None:
                    await delete_agent(client, room_id, agent_id)
                del self._to_clear[room_id]
                # A call of ours that has come meanwhile keeps the claim.
                if room_id not in self._calls:
                    await self._claims.release(room_id)
                self._cleared(room_id)
        except FishjamAgentsError as error:
            logger.warning("what a process left behind is not cleared yet: %s", error)
