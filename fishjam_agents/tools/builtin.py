"""Tools that come with the package: `end_call`, `look` and `hand_over`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.tools.context import ToolContext, ToolError
from fishjam_agents.tools.handoff import Handoff
from fishjam_agents.tools.tool import tool


@tool
async def end_call(context: ToolContext) -> str:
    """End the call when the user wants to go or everything is done. Say goodbye as well."""
    context.pipeline.end_call()
    return "the call ends as soon as you have said goodbye, unless the user speaks: then end it again"


@tool(cancellable=True)
async def look(context: ToolContext, what: Literal["camera", "screen"] = "camera") -> str:
    """Look at what the user's camera or shared screen shows now.

    Args:
        context: The call.
        what: The camera, or the screen the user shares.
    """
    try:
        await context.pipeline.look(what, context.peer)
    except FishjamAgentsError as error:
        raise ToolError(str(error)) from error
    return f"you now have a picture of what the user's {what} shows"


@tool
async def hand_over(to: str, summary: str) -> Handoff:
    """Hand the call over to a colleague, who goes on with it at once.

    Args:
        to: Name of the colleague.
        summary: What the colleague has to know: who calls, what they want, what was done.
    """
    return Handoff(to, summary)


BUILTIN: Mapping[str, Callable[..., Any]] = {"end_call": end_call, "hand_over": hand_over, "look": look}
"""By the name they have in config.yaml."""
