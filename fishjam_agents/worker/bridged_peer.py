"""A peer that Fishjam makes and connects to a model itself: a VAPI peer, followed by notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.fishjam import LiveRoom

JOIN_DEADLINE = 15.0
"""Seconds Fishjam may take to connect the peer."""
REASON_DEADLINE = 1.0
"""Seconds in which the reason of a crash may follow the news that the peer is gone."""


class RoomBridgedPeer:
    """One such peer.

    Args:
        peer_id: The peer.
        room: The room, followed.
    """

    def __init__(self, peer_id: str, room: LiveRoom) -> None:
        self._peer_id = peer_id
        self._room = room
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self._crashed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._subscriptions: list[Callable[[], None]] = [
            room.subscribe(self._look),
            lambda: room.off("peer_crashed", self._crash),
        ]
        room.on("peer_crashed", self._crash)
        self._look()

    @property
    def peer_id(self) -> str:
        """Part of `backends.remote.BridgedPeer`."""
        return self._peer_id

    def close(self) -> None:
        """Follow it no longer."""
        for end in self._subscriptions:
            end()

    def _look(self) -> None:
        peer = self._room.peers.get(self._peer_id)
        if peer is not None and peer.connected:
            self._connected.set()
        elif self._connected.is_set():
            self._gone.set()

    def _crash(self, peer_id: str, reason: str) -> None:
        if peer_id == self._peer_id and not self._crashed.done():
            self._crashed.set_result(reason)
            self._gone.set()

    async def joined(self) -> None:
        """Part of `backends.remote.BridgedPeer`."""
        waits = [asyncio.create_task(event.wait()) for event in (self._connected, self._gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=JOIN_DEADLINE)
        finally:
            for wait in waits:
                wait.cancel()

    async def left(self) -> str | None:
        """Part of `backends.remote.BridgedPeer`."""
        await self.joined()
        if not self._connected.is_set() and not self._gone.is_set():
            return f"it was not connected within {JOIN_DEADLINE:g} s"
        await self._gone.wait()
        await asyncio.wait({self._crashed}, timeout=REASON_DEADLINE)
        return self._crashed.result() if self._crashed.done() else None
