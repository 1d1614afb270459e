"""Checks of whether a backend takes the tools and images that a pipeline offers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.tools.builtin import look
from fishjam_agents.tools.collect import collect
from fishjam_agents.vision.difference import need_pillow

if TYPE_CHECKING:
    from fishjam_agents.pipeline.agent import AgentPipeline


def check_capabilities(pipeline: AgentPipeline, backend: Backend) -> None:
    """Check tools and vision of a pipeline.

    Raises:
        FishjamAgentsError: The backend does not take them, or they cannot be offered.
    """
    name, kind = type(backend.chain[0]).__name__, type(pipeline).__name__
    names = [tool.name for tool in collect(pipeline, pipeline.tools)]
    tools = ", ".join([*names, *(f"those of {server.label}" for server in pipeline.mcp)])
    for server in pipeline.mcp:
        server.check()
    if tools and not backend.capabilities.tools:
        raise FishjamAgentsError(
            f"{name} calls no tools, but {kind} offers some ({tools}): use a backend that does, or offer none"
        )
    capture = pipeline.vision.capture
    if not backend.capabilities.images and (capture != "demand" or look in pipeline.tools):
        what = f"vision.capture is {capture!r}" if capture != "demand" else "the tool look is offered"
        raise FishjamAgentsError(
            f"{what}, but {name} takes no images: use a backend that does, or leave it out"
        )
    if capture == "change":
        need_pillow()
