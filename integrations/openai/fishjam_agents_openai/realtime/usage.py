"""Tokens by direction and modality, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PER = 1_000_000
"""Prices are per so many tokens."""
_MODALITIES = ("text", "audio", "image")
PRICED = frozenset(
    {f"{side}_{modality}" for side in ("input", "cached") for modality in _MODALITIES}
    | {"output_text", "output_audio", "transcription_input", "transcription_output", "transcription_seconds"}
)
"""Amounts that have a price."""


def amounts_of(usage: Mapping[str, Any]) -> dict[str, float]:
    """Tokens of a response: `input_audio`, `cached_audio`, `output_text`, ...

    What was cached is not counted as input again, so that prices can be added up. Without details there are
    only `input`, `cached` and `output`.

    Args:
        usage: `response.usage` as the service tells it.
    """
    amounts: dict[str, float] = {}
    inputs = usage.get("input_token_details") or {}
    cached = inputs.get("cached_tokens_details") or {}
    for modality in _MODALITIES:
        kept = cached.get(f"{modality}_tokens") or 0
        _add(amounts, f"cached_{modality}", kept)
        _add(amounts, f"input_{modality}", (inputs.get(f"{modality}_tokens") or 0) - kept)
    if not any(inputs.get(f"{modality}_tokens") for modality in _MODALITIES):
        kept = inputs.get("cached_tokens") or 0
        _add(amounts, "cached", kept)
        _add(amounts, "input", (usage.get("input_tokens") or 0) - kept)
    outputs = usage.get("output_token_details") or {}
    for modality in _MODALITIES:
        _add(amounts, f"output_{modality}", outputs.get(f"{modality}_tokens") or 0)
    if not outputs:
        _add(amounts, "output", usage.get("output_tokens") or 0)
    return amounts


def transcription_of(usage: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost of the transcription of a turn: seconds, or tokens, as the model is billed."""
    amounts: dict[str, float] = {}
    _add(amounts, "transcription_seconds", usage.get("seconds") or 0)
    _add(amounts, "transcription_input", usage.get("input_tokens") or 0)
    _add(amounts, "transcription_output", usage.get("output_tokens") or 0)
    return amounts


def cost_of(amounts: Mapping[str, float], prices: Mapping[str, float]) -> float | None:
    """Price of the amounts; None without prices. What is not told apart costs what text costs.

    Args:
        amounts: As `amounts_of` and `transcription_of` have them.
        prices: Price of a million tokens, and of one second for `transcription_seconds`, by the same names.
    """
    if not prices:
        return None
    names = {"input": "input_text", "cached": "cached_text", "output": "output_text"}
    return sum(
        amount * prices.get(names.get(name, name), 0.0) / (1 if name.endswith("seconds") else _PER)
        for name, amount in amounts.items()
    )


def _add(amounts: dict[str, float], name: str, amount: float) -> None:
    if amount > 0:
        amounts[name] = amount
