"""Calls between simulated callers and a bot, on one clock, without a microphone."""

from __future__ import annotations

from fishjam_agents.simulation.result import LAG_LIMIT, SimulationResult
from fishjam_agents.simulation.scene import Scene
from fishjam_agents.simulation.simulator import simulate, simulate_fast
from fishjam_agents.simulation.sounds import SpeechUnavailableError, parts_of

__all__ = [
    "LAG_LIMIT",
    "Scene",
    "SimulationResult",
    "SpeechUnavailableError",
    "parts_of",
    "simulate",
    "simulate_fast",
]
