"""Accounts at vendors that several bots of a file use, each with limits of its own."""

from __future__ import annotations

from collections.abc import Mapping

from fishjam_agents.backends.key_file import parts_of
from fishjam_agents.backends.port import Backend, VendorEndpoint, VendorLimits

_NONE = VendorLimits()


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
