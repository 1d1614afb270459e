"""Tokens by direction and modality, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fishjam_agents.backends.port import BackendEvent, BackendUsage

from .session_continuity import SessionContinuity

_PER = 1_000_000
"""Prices are per so many tokens."""


class Meter:
    """Adds up what a turn used, and what the call has cost.

    Args:
        emit: Takes our events.
        memory: Of the call.
        prices: See `cost_of`.
    """

    def __init__(
        self, emit: Callable[[BackendEvent], None], memory: SessionContinuity, prices: Mapping[str, float]
    ) -> None:
        self._emit = emit
        self._memory = memory
        self._prices = prices
        self._amounts: dict[str, float] = {}

    def add(self, metadata: Any) -> None:
        """Count a `usageMetadata`."""
        for name, amount in amounts_of(metadata).items():
            self._amounts[name] = self._amounts.get(name, 0) + amount

    def report(self) -> None:
        """The turn is over."""
        if not self._amounts:
            return
        amounts, self._amounts = self._amounts, {}
        cost = cost_of(amounts, self._prices)
        self._memory.spent += cost or 0.0
        self._emit(BackendUsage(amounts, cost, None if cost is None else self._memory.spent))


def amounts_of(metadata: Any) -> dict[str, float]:
    """Tokens of a `usageMetadata`: `input_audio`, `output_text`, ...; `input` and `output` without details.

    Args:
        metadata: google-genai's `UsageMetadata`.
    """
    amounts: dict[str, float] = {}
    _add(amounts, "input", metadata.prompt_tokens_details, metadata.prompt_token_count)
    _add(amounts, "input", metadata.tool_use_prompt_tokens_details, metadata.tool_use_prompt_token_count)
    _add(amounts, "output", metadata.response_tokens_details, metadata.response_token_count)
    if metadata.thoughts_token_count:
        amounts["output_thoughts"] = metadata.thoughts_token_count
    if metadata.cached_content_token_count:
        amounts["cached"] = metadata.cached_content_token_count
    return amounts


def _add(amounts: dict[str, float], side: str, details: Any, count: int | None) -> None:
    for detail in details or ():
        modality = getattr(detail.modality, "value", detail.modality) or "unspecified"
        name = f"{side}_{str(modality).lower()}"
        amounts[name] = amounts.get(name, 0) + (detail.token_count or 0)
    if not details and count:
        amounts[side] = amounts.get(side, 0) + count


def cost_of(amounts: Mapping[str, float], prices: Mapping[str, float]) -> float | None:
    """Price of the tokens; None without prices. Thoughts cost what text costs; the unpriced is free.

    Args:
        amounts: Tokens by the names of `amounts_of`.
        prices: Price of a million tokens by the same names.
    """
    if not prices:
        return None
    names = {"output_thoughts": "output_text", "input": "input_text", "output": "output_text"}
    return sum(amount * prices.get(names.get(name, name), 0.0) for name, amount in amounts.items()) / _PER
