"""The test kit: virtual time, a room in memory, a backend that follows a script, recorded calls, faults.

Public and documented (docs/testing.md): bots deserve tests that run a ten-minute call in a second and never
flake. Each name is loaded when it is first used: the pytest plugin costs a run that does not need it nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents._lazy import lazy_exports

if TYPE_CHECKING:
    from fishjam_agents.testing.call import MemoryCall
    from fishjam_agents.testing.clock import VirtualClock, VirtualClockError
    from fishjam_agents.testing.fault_proxy import FaultProxy, Injection, ProxyStatistics
    from fishjam_agents.testing.faults import Cut, Fault, Garble, HalfOpen, Refuse, Reset, Slow, Stall
    from fishjam_agents.testing.memory import MemoryRoom
    from fishjam_agents.testing.memory_peer import MemoryPeer
    from fishjam_agents.testing.memory_session import MemorySession, MemoryTrack
    from fishjam_agents.testing.replay import replay_events
    from fishjam_agents.testing.scripted import Scripted, Step
    from fishjam_agents.testing.sounds import cough, noise, silence, speech

__all__ = [
    "Cut",
    "Fault",
    "FaultProxy",
    "Garble",
    "HalfOpen",
    "Injection",
    "MemoryCall",
    "MemoryPeer",
    "MemoryRoom",
    "MemorySession",
    "MemoryTrack",
    "ProxyStatistics",
    "Refuse",
    "Reset",
    "Scripted",
    "Slow",
    "Stall",
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
    "Cut": "faults",
    "Fault": "faults",
    "FaultProxy": "fault_proxy",
    "Garble": "faults",
    "HalfOpen": "faults",
    "Injection": "fault_proxy",
    "MemoryCall": "call",
    "MemoryPeer": "memory_peer",
    "MemoryRoom": "memory",
    "MemorySession": "memory_session",
    "MemoryTrack": "memory_session",
    "ProxyStatistics": "fault_proxy",
    "Refuse": "faults",
    "Reset": "faults",
    "Scripted": "scripted",
    "Slow": "faults",
    "Stall": "faults",
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
