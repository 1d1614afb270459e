"""A call that a tool hands over to another bot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a tool returns so that another bot goes on with the call.

    Attributes:
        bot: A name among the `handoffs` of the bot, or an `AgentPipeline`: its class, or one that was made.
        summary: What it has to know, which its instructions end with.
    """

    bot: Any
    summary: str = ""
