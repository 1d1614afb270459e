"""Tools of a model, from methods and functions, and the runner that answers each call once."""

from __future__ import annotations

from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.tool import Tool, tool

__all__ = ["Tool", "ToolContext", "ToolError", "tool"]
