"""Pages that the code is read for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from docsite import commands, configuration, events

GENERATED: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "reference/configuration.md": configuration.page,
        "reference/events.md": events.page,
        "reference/cli.md": commands.page,
    }
)
"""The functions that make them, by their place in docs/, where no file is."""
