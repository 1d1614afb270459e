"""Accounts at vendors that several bots of a file use, each with limits of its own."""

from __future__ import annotations

from collections.abc import Mapping

from fishjam_agents.backends.key_file import parts_of
from fishjam_agents.backends.port import Backend, VendorEndpoint, VendorLimits
from fishjam_agents.config.settings import Config

_NONE = VendorLimits()


def backends_of(name: str, bot: Config, backend: Backend) -> dict[str, Backend]:
    """Backends of a bot and of those that it hands a call over to, by names for messages.

    Args:
        name: The bot's.
        bot: Its file.
        backend: Its backend.
    """
    handed = {f"{name}, {other}": own.backend for other, own in bot.agent.handoffs.items()}
    return {name: backend, **{names: one for names, one in handed.items() if one is not None}}


def differing_limits(backends: Mapping[str, Backend]) -> list[str]:
    """One sentence for each account whose limits differ.

    Args:
        backends: Backends by the names of their bots. One without limits has those of the others.
    """
    found: dict[VendorEndpoint, dict[VendorLimits, str]] = {}
    for bot, backend in backends.items():
        for part in parts_of(backend):
            if part.endpoint is not None and part.limits != _NONE:
                found.setdefault(part.endpoint, {}).setdefault(part.limits, bot)
    return [
        f"{endpoint} is one account with different limits "
        f"({'; '.join(f'{bot}: {limits}' for limits, bot in by_limits.items())}): "
        "those of the bot that asked last count, so give all the same"
        for endpoint, by_limits in found.items()
        if len(by_limits) > 1
    ]
