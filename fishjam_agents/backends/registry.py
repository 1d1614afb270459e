"""Backends by name: `backend: {type: NAME}` finds the entry point NAME of `fishjam_agents.backends`."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

from fishjam_agents.backends.port import Backend
from fishjam_agents.errors import ConfigError

GROUP = "fishjam_agents.backends"

PLANNED = frozenset({"gemini", "vapi_peer", "openai_realtime", "cascade"})
"""Names that later integrations will take; asking for one says so."""


def installed() -> dict[str, EntryPoint]:
    """Entry points of every backend that is installed, by name; nothing is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(name: str) -> type[Backend]:
    """Import the backend of that name.

    Raises:
        ConfigError: There is none, or its package cannot be imported.
    """
    found = installed()
    point = found.get(name)
    if point is None:
        if name in PLANNED:
            raise ConfigError(
                f"backend type {name!r} is not available yet: use one of {', '.join(sorted(found))}"
            )
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(sorted(found)) or 'none'}"
        raise ConfigError(f"no backend of type {name!r} is installed: {hint}")
    try:
        backend = point.load()
    except ImportError as error:
        raise ConfigError(
            f"backend {name!r} cannot be imported ({error}): install its package again"
        ) from error
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        raise ConfigError(
            f"the entry point {name!r} ({point.value}) is not a Backend: fix the package that offers it"
        )
    return backend
