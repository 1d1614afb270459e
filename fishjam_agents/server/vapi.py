"""The calls of all VAPI peers (`vapi_call`): begun with a peer, ended with the server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .media.clock import RoomClock
from .peer import Peer
from .room import Room
from .settings import VapiOptions
from .tasks import Tasks

if TYPE_CHECKING:
    from .vapi_call import VapiCall

API_URL = "https://api.vapi.ai"
URL_VARIABLE = "VAPI_URL"


class VapiCalls:
    """The calls of all VAPI peers.

    Args:
        clock: Room time.
        tasks: Where calls run.
        url: Vapi's API; None takes the variable `VAPI_URL`, and without it Vapi's own.
    """

    def __init__(self, clock: RoomClock, tasks: Tasks, url: str | None) -> None:
        self._clock = clock
        self._tasks = tasks
        self._url = url
        self._calls: set[VapiCall] = set()

    def join(self, room: Room, peer: Peer, options: VapiOptions) -> None:
        """Let a new peer join its call."""
        # Nobody pays for HTTP and WebSocket clients before a call needs them.
        from .vapi_call import VapiCall

        url = self._url or os.environ.get(URL_VARIABLE) or API_URL
        self._tasks.spawn(
            self._run(VapiCall(room, peer, options, self._clock, url)), f"the VAPI call of {peer.id}"
        )

    async def _run(self, call: VapiCall) -> None:
        self._calls.add(call)
        try:
            await call.run()
        finally:
            self._calls.discard(call)

    def stop(self) -> None:
        """End every call."""
        for call in tuple(self._calls):
            call.detach(1000, "the server stops")
