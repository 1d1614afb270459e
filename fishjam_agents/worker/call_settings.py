"""Settings of a single call, over those of its bot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fishjam_agents.backends import registry
from fishjam_agents.backends.port import Backend, Registered
from fishjam_agents.errors import ConfigError
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker.instructions import fill
from fishjam_agents.worker.room_snapshot import RoomSnapshot

R = TypeVar("R", bound=Registered)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Settings of a call that the calls API may give.

    Attributes:
        instructions: In place of the bot's.
        variables: Values for `{variables.NAME}` in the instructions.
        voice: The voice the bot speaks with, as its backend names it.
        keys: Keys of vendors by the `type` of a backend or a part of a cascade; kept in memory only.
    """

    instructions: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    voice: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def apply_settings(pipeline: AgentPipeline, settings: CallSettings, room: RoomSnapshot) -> None:
    """Make a bot the bot of one call.

    Args:
        pipeline: The bot, not yet running.
        settings: What is said of the call.
        room: Its room.

    Raises:
        ConfigError: Its backend has no voice to choose, or none that a key is for.
        FishjamAgentsError: The parts do not fit any more.
    """
    instructions = settings.instructions if settings.instructions is not None else pipeline.instructions
    if instructions is not None:
        pipeline.instructions = fill(instructions, room, settings.variables)
    if settings.voice is None and not settings.keys:
        return
    used: set[str] = set()
    pipeline.backend = _changed(pipeline.backend, settings, used)
    missing = settings.keys.keys() - used
    if missing:
        raise ConfigError(f"the bot has nothing of type {sorted(missing)[0]!r} that takes a key")
    if settings.voice is not None and "" not in used:
        raise ConfigError(f"{type(pipeline.backend).__name__} has no voice to choose")
    pipeline.verify()


def changed_backend(backend: Backend, settings: CallSettings) -> Backend:
    """A backend with the voice and the keys of a call."""
    return _changed(backend, settings, set())


def _changed(part: R, settings: CallSettings, used: set[str]) -> R:
    """A backend, or a part of one, with voice and keys; `used` takes the keys' types, "" for the voice."""
    changes: dict[str, Any] = {}
    # Implementations are frozen dataclasses.
    for item in dataclasses.fields(part):  # type: ignore[arg-type]
        value = getattr(part, item.name)
        if isinstance(value, Registered):
            changes[item.name] = _changed(value, settings, used)
        elif isinstance(value, (list, tuple)) and any(isinstance(entry, Registered) for entry in value):
            changes[item.name] = tuple(
                _changed(entry, settings, used) if isinstance(entry, Registered) else entry for entry in value
            )
        elif item.name == "voice" and settings.voice is not None:
            changes["voice"] = settings.voice
            used.add("")
        elif item.name == "api_key_file":
            # It goes with the key.
            pass
        elif item.name == "api_key":
            for name in _names(type(part)):
                if name in settings.keys:
                    changes["api_key"] = settings.keys[name]
                    if hasattr(part, "api_key_file"):
                        changes["api_key_file"] = None
                    used.add(name)
    changed: R = dataclasses.replace(part, **changes) if changes else part  # type: ignore[type-var]
    return changed


def _names(kind: type[Registered]) -> Iterator[str]:
    """The names a configuration has for an implementation."""
    for name, point in registry.installed(kind).items():
        if point.value.rpartition(":")[2] == kind.__name__:
            yield name
