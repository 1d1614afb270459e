"""Settings dataclasses from plain data and back: common to config.yaml and to the records of calls."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from fishjam_agents.errors import SettingError

OBJECT = "object"
"""Key under which the name of an object is kept that no file can hold."""

_STRICTNESS = ConfigDict(arbitrary_types_allowed=True, extra="forbid", allow_inf_nan=False)


def members(hint: Any) -> tuple[Any, ...]:
    """The members of a union; a type that is none is its own only member."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def accepts_none(hint: Any) -> bool:
    """Return whether a setting may be None."""
    return hint is None or type(None) in members(hint)


def field_hints(kind: type[Any]) -> Mapping[str, Any]:
    """The types of a dataclass's settings, by name."""
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind) if item.init}


def variants(hint: Any) -> Mapping[str, type[Any]]:
    """The dataclasses that a setting may hold, by the `type` that names them; "" where it needs none."""
    for member in members(hint):
        if isinstance(member, type) and dataclasses.is_dataclass(member):
            named: Mapping[str, type[Any]] | None = getattr(member, "types", None)
            return {"": member} if named is None else named
    return {}


def validate(hint: Any, data: Any) -> Any:
    """The value of a type that data stand for: mappings, lists, scalars, and objects as they are.

    Args:
        hint: The type; of a dataclass every field is validated, and no other key taken.
        data: The data.

    Raises:
        pydantic.ValidationError: They stand for none; every mistake with its place.
    """
    return _adapter(hint).validate_python(data)


def refusal(mistake: Mapping[str, Any]) -> SettingError:
    """The error that a settings class raised itself.

    Args:
        mistake: One of `ValidationError.errors()` whose place is the class's own.
    """
    raised = mistake["ctx"]["error"]
    return raised if isinstance(raised, SettingError) else SettingError(None, str(raised))


def dump(value: Any, hint: Any) -> Any:
    """A setting as JSON data; of an object that no file can hold, its `repr` under the key `OBJECT`."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, PurePath):
        return str(value)
    for name, kind in variants(hint).items():
        if type(value) is kind:
            entries = {key: dump(getattr(value, key), inner) for key, inner in field_hints(kind).items()}
            return {"type": name, **entries} if name else entries
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return list(value)
    return {OBJECT: repr(value)}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    # A dataclass takes no configuration of an adapter, but that of the type it is part of.
    return TypeAdapter(hint | None if isinstance(hint, type) else hint, config=_STRICTNESS)
