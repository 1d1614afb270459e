"""VAPI peers: they are made as in the cloud, and their call fails, because it cannot be reached from here.

The cloud takes any key and call id at creation and reports the failure later, as PeerCrashed
(facts/fishjam-protocol.md 2.4 and 4.4).
"""

from __future__ import annotations

from .clock import TICKS_PER_SECOND, RoomClock
from .peer import Peer
from .room import Room

CALL_SECONDS = 5.0
"""How long the call is tried; our choice."""


def call(room: Room, peer: Peer, clock: RoomClock) -> None:
    """Let the call of a new VAPI peer fail after `CALL_SECONDS` of room time."""
    due = clock.ticks + round(CALL_SECONDS * TICKS_PER_SECOND)

    def ticked(ticks: int) -> None:
        if ticks >= due:
            unsubscribe()
            room.crash_peer(peer, "VAPI cannot be reached from the embedded server: use Fishjam's cloud")

    unsubscribe = clock.subscribe(ticked)
