"""Backends, and parts of a cascade, by name: each kind has a group of entry points."""

from __future__ import annotations

import difflib
import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from fishjam_agents.backends.port import Backend, Registered
from fishjam_agents.errors import ConfigError, install_integration

INTEGRATIONS = {"gemini": "gemini", "openai_realtime": "openai", "vapi": "vapi", "vapi_peer": "vapi"}
"""Backends of our integrations, and the folder of `integrations/` that each is in."""

COMPONENTS = {
    "fishjam_agents.stt": {"openai": "openai", "openai_realtime": "openai", "whisper": "local"},
    "fishjam_agents.llm": {"openai": "openai", "intents": "local", "llama_cpp": "local"},
    "fishjam_agents.tts": {"openai": "openai", "kokoro": "local", "piper": "local"},
}
"""Parts of a cascade in our integrations, by their group of entry points, likewise."""

R = TypeVar("R", bound=Registered)


def installed(base: type[Registered] = Backend) -> dict[str, EntryPoint]:
    """Entry points of every implementation of `base` that is installed, by name; nothing is imported."""
    return {point.name: point for point in entry_points(group=base.entry_points)}


def load(name: str) -> type[Backend]:
    """Import the backend of that name.

    Raises:
        ConfigError: There is none, or its package cannot be imported.
    """
    return find(name, Backend)  # type: ignore[type-abstract]


def find(name: str, base: type[R]) -> type[R]:
    """Import the implementation of that name.

    Args:
        name: Its `type` in a configuration.
        base: What it has to implement: `Backend`, or a part of a cascade.

    Raises:
        ConfigError: There is none, or its package cannot be imported.
    """
    found = installed(base)
    point = found.get(name)
    if point is None:
        ours = INTEGRATIONS if issubclass(base, Backend) else COMPONENTS.get(base.entry_points, {})
        if name in ours:
            raise ConfigError(f"{base.what} {name!r} is not installed: {install_integration(ours[name])}")
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(sorted(found)) or 'none'}"
        raise ConfigError(f"no {base.what} of type {name!r} is installed: {hint}")
    try:
        kind = point.load()
    except ImportError as error:
        raise ConfigError(
            f"{base.what} {name!r} cannot be imported ({error}): install its package again"
        ) from error
    if not (inspect.isclass(kind) and issubclass(kind, base)):
        raise ConfigError(
            f"the entry point {name!r} ({point.value}) is no {base.__name__}: fix the package that offers it"
        )
    return kind


def registered_name(part: Registered) -> str:
    """Return the `type` of a backend or component in a configuration; of one that has none, its class."""
    kind = type(part)
    for point in installed(kind).values():
        # An entry point names the package that exports a class, or the module that has it.
        same_package = f"{kind.__module__}.".startswith(f"{point.module}.")
        if point.attr == kind.__qualname__ and same_package:
            return point.name
    return kind.__name__
