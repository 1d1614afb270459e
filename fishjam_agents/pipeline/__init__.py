"""One bot in one room."""

from __future__ import annotations

from fishjam_agents.pipeline.agent import AgentPipeline

__all__ = ["AgentPipeline"]
