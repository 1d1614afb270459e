"""Tools that come with the package: `end_call`."""

from __future__ import annotations

from fishjam_agents.tools.context import ToolContext
from fishjam_agents.tools.tool import tool


@tool
async def end_call(context: ToolContext) -> str:
    """End the call when the user wants to go or everything is done. Say goodbye as well."""
    context.pipeline.end_call()
    return "the call ends as soon as you have said goodbye"


BUILTIN = {"end_call": end_call}
"""By the name they have in config.yaml."""
