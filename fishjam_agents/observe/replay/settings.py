"""Settings of turn-taking as the header of a record holds them.

Settings may hold objects: dataclasses, and such as name their kinds in `types`, as a config.yaml does too.
Of an object that the user's own code makes only its name can be kept.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from fishjam_agents.turns.settings import TurnSettings

OBJECT = "object"
"""Key under which the name of an object is kept that no file can hold."""


class LostObjectError(ValueError):
    """A setting was an object of the user's own code, of which a record keeps the name alone.

    Attributes:
        setting: Which.
        name: What it was.
    """

    def __init__(self, setting: str, name: str) -> None:
        super().__init__(f"turns.{setting} was {name}, which no file can hold")
        self.setting = setting
        self.name = name


def plain_settings(turns: TurnSettings) -> dict[str, Any]:
    """The settings as JSON data."""
    hints = get_type_hints(TurnSettings)
    return {
        item.name: _plain(getattr(turns, item.name), hints[item.name]) for item in dataclasses.fields(turns)
    }


def settings_of(plain: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> TurnSettings:
    """The settings that JSON data stand for.

    Args:
        plain: What `plain_settings` gave.
        changes: Values that replace some of them; JSON data, or the objects themselves.

    Raises:
        LostObjectError: One was an object that is not known here, and is not replaced.
        ValueError: They do not make settings.
    """
    wanted = {**plain, **(changes or {})}
    return TurnSettings(**{name: setting_of(name, value) for name, value in wanted.items()})


def setting_of(name: str, value: Any) -> Any:
    """One setting that JSON data stand for, as `settings_of`."""
    hints = get_type_hints(TurnSettings)
    if name not in hints:
        raise ValueError(f"turns.{name} is not a setting")
    return _value(name, value, hints[name])


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _kinds(hint: Any) -> Mapping[str, type[Any]]:
    """The dataclasses that a setting may hold, by the names that files give them; "" where it needs none."""
    for member in _members(hint):
        if isinstance(member, type) and dataclasses.is_dataclass(member):
            named: Mapping[str, type[Any]] | None = getattr(member, "types", None)
            return {"": member} if named is None else named
    return {}


def _plain(value: Any, hint: Any) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    for name, kind in _kinds(hint).items():
        if type(value) is kind:
            hints = get_type_hints(kind)
            entries = {
                item.name: _plain(getattr(value, item.name), hints[item.name])
                for item in dataclasses.fields(value)
                if item.init
            }
            return {"type": name, **entries} if name else entries
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return list(value)
    return {OBJECT: repr(value)}


def _value(name: str, plain: Any, hint: Any) -> Any:
    if isinstance(plain, dict) and plain.keys() == {OBJECT}:
        raise LostObjectError(name, str(plain[OBJECT]))
    kinds = _kinds(hint)
    if isinstance(plain, dict) and kinds:
        entries = dict(plain)
        kind = kinds.get(str(entries.pop("type", "")))
        if kind is None:
            raise ValueError(f"turns.{name} has no type {plain.get('type')!r}")
        hints = get_type_hints(kind)
        unknown = entries.keys() - hints.keys()
        if unknown:
            raise ValueError(f"turns.{name}.{min(unknown)} is not a setting")
        return kind(**{key: _value(f"{name}.{key}", entry, hints[key]) for key, entry in entries.items()})
    if kinds and not isinstance(plain, (str, int, float, bool, list, type(None))):
        return plain
    try:
        return TypeAdapter(hint).validate_python(plain)
    except ValidationError as error:
        raise ValueError(f"turns.{name} is wrong ({error.errors()[0]['msg']})") from error
