"""The test kit: virtual time, a room in memory, a backend that follows a script.

Public and documented: bots deserve tests that run a ten-minute call in a second and never flake.

    def test_bot_answers(virtual_clock):
        async def call():
            room = MemoryRoom()
            ...
        virtual_clock.run(call())
"""

from __future__ import annotations

from fishjam_agents.testing.clock import VirtualClock, VirtualClockError
from fishjam_agents.testing.memory import MemoryPeer, MemoryRoom, MemorySession
from fishjam_agents.testing.scripted import Scripted, Step

__all__ = [
    "MemoryPeer",
    "MemoryRoom",
    "MemorySession",
    "Scripted",
    "Step",
    "VirtualClock",
    "VirtualClockError",
]
