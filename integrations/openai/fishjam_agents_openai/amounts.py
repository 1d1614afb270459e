"""Cost of a request, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def amounts(usage: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The counts of a usage by their own names, nested ones with dots between them.

    What is no number is left out.
    """
    found: dict[str, float] = {}
    for name, value in usage.items():
        if isinstance(value, Mapping):
            found |= amounts(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found
