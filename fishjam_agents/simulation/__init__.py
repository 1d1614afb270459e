"""Calls between simulated callers and a bot, on one clock, without a microphone."""

from __future__ import annotations

from fishjam_agents.simulation.result import LAG_LIMIT, SimulationResult
from fishjam_agents.simulation.scene import Scene
from fishjam_agents.simulation.scheduler import Missed
from fishjam_agents.simulation.simulator import simulate, simulate_fast
from fishjam_agents.simulation.sounds import Prepared, SpeechUnavailableError, parts_of, prepare, unspeakable
from fishjam_agents.simulation.stop_request import StoppedError, StopRequest

__all__ = [
    "LAG_LIMIT",
    "Missed",
    "Prepared",
    "Scene",
    "SimulationResult",
    "SpeechUnavailableError",
    "StopRequest",
    "StoppedError",
    "parts_of",
    "prepare",
    "simulate",
    "simulate_fast",
    "unspeakable",
]
