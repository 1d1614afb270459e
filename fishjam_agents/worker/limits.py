"""Limits that end a call before anybody asks for it: its length, and a room without people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishjam_agents.session import PeerType, RoomView
from fishjam_agents.worker.call_outcome import CallOutcome
from fishjam_agents.worker.settings import LimitSettings


class CallLimits:
    """Watches one call. Timers only: it owns no task.

    Args:
        settings: The limits.
        room: Who is in the room, as of now.
        end: Called with the reason when a limit is reached, at most once for each.
    """

    def __init__(self, settings: LimitSettings, room: RoomView, end: Callable[[CallOutcome], None]) -> None:
        self._settings = settings
        self._room = room
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._call_timer: asyncio.TimerHandle | None = None
        self._empty_timer: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """The call begins now."""
        if self._settings.max_call is not None:
            self._call_timer = self._loop.call_later(self._settings.max_call, self._end, CallOutcome.MAX_CALL)
        if self._settings.empty_room is not None:
            self._unsubscribe = self._room.subscribe(self._look)
            self._look()

    def close(self) -> None:
        """The call is over."""
        self._unsubscribe()
        for timer in (self._call_timer, self._empty_timer):
            if timer is not None:
                timer.cancel()
        self._call_timer = self._empty_timer = None

    def _look(self) -> None:
        if any(peer.connected and peer.type is PeerType.WEBRTC for peer in self._room.peers.values()):
            if self._empty_timer is not None:
                self._empty_timer.cancel()
                self._empty_timer = None
        elif self._empty_timer is None and self._settings.empty_room is not None:
            self._empty_timer = self._loop.call_later(
                self._settings.empty_room, self._end, CallOutcome.EMPTY_ROOM
            )
