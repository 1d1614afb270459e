"""Calls between recorded callers and a bot, on one clock, without a microphone."""

from __future__ import annotations

from fishjam_agents.simulation.result import LAG_LIMIT, SimulationResult
from fishjam_agents.simulation.scene import Scene
from fishjam_agents.simulation.simulator import simulate

__all__ = ["LAG_LIMIT", "Scene", "SimulationResult", "simulate"]
