"""Bots that take a call over: made, and told what they have to know."""

from __future__ import annotations

from typing import Any

from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline.bot import Bot


def first_name(bot: object) -> str:
    """Return the name of a bot that was given none: that of its class, `agent` where it has no own."""
    name = type(bot).__name__
    return "agent" if name == "AgentPipeline" else name


def make_bot(wanted: object, backend: Backend) -> Bot:
    """Return the bot that something is or makes, with a backend if it names none.

    Raises:
        FishjamAgentsError: It is no bot.
    """
    bot: Any = wanted() if callable(wanted) else wanted
    if not hasattr(bot, "handoffs") or not hasattr(bot, "verify"):
        raise FishjamAgentsError(
            f"{wanted!r} cannot take a call over: give an AgentPipeline, its class, or what makes one"
        )
    if bot.call_id is not None:
        raise FishjamAgentsError(
            f"{type(bot).__name__} is in a call already: give its class, or a new one for each call"
        )
    if getattr(bot, "backend", None) is None:
        bot.backend = backend
    taken: Bot = bot
    return taken


def told(instructions: str | None, summary: str) -> str | None:
    """Return instructions that end with what a bot has to know that takes a call over."""
    if not summary:
        return instructions
    return "\n\n".join(filter(None, [instructions, f"The call was handed over to you: {summary}"]))
