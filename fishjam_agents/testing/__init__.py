"""The test kit: virtual time, a room in memory, a backend that follows a script, recorded calls.

Public and documented (docs/testing.md): bots deserve tests that run a ten-minute call in a second and never
flake. Each name is loaded when it is first used: the pytest plugin costs a run that does not need it nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
    from fishjam_agents.testing.call import MemoryCall
    from fishjam_agents.testing.clock import VirtualClock, VirtualClockError
    from fishjam_agents.testing.memory import MemoryRoom
    from fishjam_agents.testing.memory_peer import MemoryPeer
    from fishjam_agents.testing.memory_session import MemorySession, MemoryTrack
    from fishjam_agents.testing.replay import replay_events
    from fishjam_agents.testing.scripted import Scripted, Step
    from fishjam_agents.testing.sounds import cough, noise, silence, speech

__all__ = [
    "MemoryCall",
    "MemoryPeer",
    "MemoryRoom",
    "MemorySession",
    "MemoryTrack",
    "Scripted",
    "Step",
    "VirtualClock",
    "VirtualClockError",
    "cough",
    "noise",
    "replay_events",
    "silence",
    "speech",
]

_HOMES = {
    "MemoryCall": "call",
    "MemoryPeer": "memory_peer",
    "MemoryRoom": "memory",
    "MemorySession": "memory_session",
    "MemoryTrack": "memory_session",
    "Scripted": "scripted",
    "Step": "scripted",
    "VirtualClock": "clock",
    "VirtualClockError": "clock",
    "cough": "sounds",
    "noise": "sounds",
    "replay_events": "replay",
    "silence": "sounds",
    "speech": "sounds",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
