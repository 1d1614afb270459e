"""Settings of turn-taking as the header of a record holds them.

Settings may hold objects: dataclasses, and such as name their kinds in `types`, as a config.yaml does too.
Of an object that the user's own code makes only its name can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fishjam_agents.settings_codec import OBJECT, dump, field_hints, refusal, validate, variants
from fishjam_agents.turns.settings import TurnSettings


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
    return {name: dump(getattr(turns, name), hint) for name, hint in field_hints(TurnSettings).items()}


def settings_of(plain: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> TurnSettings:
    """The settings that JSON data stand for.

    Args:
        plain: What `plain_settings` gave.
        changes: Values that replace some of them; JSON data, or the objects themselves.

    Raises:
        LostObjectError: One was an object that is not known here, and is not replaced.
        ValueError: They do not make settings.
    """
    settings: TurnSettings = _section(TurnSettings, {**plain, **(changes or {})}, "")
    return settings


def setting_of(name: str, value: Any) -> Any:
    """One setting that JSON data stand for, as `settings_of`."""
    return getattr(settings_of({name: value}), name)


def _section(kind: type[Any], plain: Mapping[str, Any], name: str) -> Any:
    hints = field_hints(kind)
    data = {key: _setting(hints.get(key), value, f"{name}{key}") for key, value in plain.items()}
    try:
        return validate(kind, data)
    except ValidationError as error:
        raise ValueError(_sentence(error, name)) from error


def _sentence(error: ValidationError, name: str) -> str:
    mistake = error.errors()[0]
    place = f"turns.{name}{'.'.join(map(str, mistake['loc']))}".rstrip(".")
    if not mistake["loc"]:
        return refusal(mistake).at(place)
    if mistake["type"] == "unexpected_keyword_argument":
        return f"{place} is not a setting"
    return f"{place} is wrong ({mistake['msg']})"


def _setting(hint: Any, plain: Any, name: str) -> Any:
    if not isinstance(plain, dict):
        return plain
    if plain.keys() == {OBJECT}:
        raise LostObjectError(name, str(plain[OBJECT]))
    kinds = variants(hint)
    if not kinds:
        return plain
    kind = str(plain.get("type", ""))
    if kind not in kinds:
        raise ValueError(f"turns.{name} has no type {plain.get('type')!r}")
    return _section(kinds[kind], {key: value for key, value in plain.items() if key != "type"}, f"{name}.")
