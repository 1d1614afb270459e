"""JSON Schema of config.yaml, for editors: it says of every file that the loader takes that it is right.

Draft 7, which yaml-language-server reads best. Of what the loader refuses it knows wrong keys, types and
words; what settings mean to each other only the loader judges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from fishjam_agents.backends.port import Registered
from fishjam_agents.config.catalogue import (
    REQUIRED,
    Setting,
    described,
    implementations,
    registered_base,
    settings_of,
    summary,
)
from fishjam_agents.config.load import SECTIONS as FILE_SECTIONS
from fishjam_agents.config.settings import AgentSettings, Config
from fishjam_agents.config.shorthand import FORMS, LISTS, form_key
from fishjam_agents.pipeline.agent import SECTIONS, AgentPipeline
from fishjam_agents.settings_codec import dump, members, variants

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"
_VARIABLE: Schema = {"$ref": "#/definitions/variable"}
_NOTHING: Schema = {"type": "null"}
_SCALARS: Mapping[str, Schema] = MappingProxyType(
    {
        "variable": {
            "type": "string",
            "pattern": r"\$\{",
            "description": "A variable of the environment: ${NAME}, or ${NAME:-default}.",
        },
        # Text may look like anything to YAML: `id: 007`.
        "text": {"type": ["string", "number", "boolean"]},
        "integer": {"anyOf": [{"type": "integer"}, _VARIABLE]},
        "number": {"anyOf": [{"type": "number"}, _VARIABLE]},
        "switch": {"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]}, _VARIABLE]},
    }
)
"""Definitions of what scalars may be."""
_NAMES: Mapping[Any, str] = MappingProxyType(
    {str: "text", Path: "text", int: "integer", float: "number", bool: "switch"}
)


def config_schema(leave_out: Collection[str] = ()) -> Schema:
    """The schema, with the backends and parts of cascades that are installed here.

    Args:
        leave_out: Those among them that it does not name.

    Raises:
        ConfigError: One of them cannot be imported.
    """
    return _Definitions(leave_out).document()


def settings_schema(kind: type[Any], title: str, lists: Collection[str] = ()) -> Schema:
    """The schema of another file that is read as config.yaml is: a dialogue.

    Args:
        kind: The settings class that has its keys.
        title: Its name.
        lists: Keys, at whatever place, whose single value stands for a list of one.
    """
    definitions = _Definitions((), lists)
    made = definitions.settings(kind, title.partition(".")[0])
    return {"$schema": _DRAFT, "title": title, **made, "definitions": dict(_SCALARS)}


class _Definitions:
    """The schema in the making.

    Args:
        leave_out: Implementations that it does not name.
        lists: Keys whose single value stands for a list of one.

    Attributes:
        made: What several places refer to, by name.
    """

    def __init__(self, leave_out: Collection[str], lists: Collection[str] = ()) -> None:
        self.made: dict[str, Schema] = dict(_SCALARS)
        self._leave_out = leave_out
        self._lists = lists

    def document(self) -> Schema:
        self.made["agent"] = self._agent()
        keys = {name: setting for name, setting in settings_of(Config).items() if name in FILE_SECTIONS}
        properties = {name: self._property(keys[name], name) for name in FILE_SECTIONS}
        return {
            "$schema": _DRAFT,
            "title": "config.yaml of fishjam_agents",
            "type": "object",
            "additionalProperties": False,
            "properties": properties,
            "definitions": dict(sorted(self.made.items())),
        }

    def _agent(self) -> Schema:
        of_pipeline = described(AgentPipeline)
        properties = {
            name: self._property(setting, f"agent.{name}")
            for name, setting in settings_of(AgentSettings).items()
            if name != "sections"
        }
        for name, kind in SECTIONS.items():
            setting = Setting(name, kind, REQUIRED, "", of_pipeline[name])
            properties[name] = self._property(setting, f"agent.{name}")
        return _object(properties, summary(AgentSettings))

    def settings(self, kind: type[Any], path: str, besides: Mapping[str, Schema] | None = None) -> Schema:
        """A mapping with the keys of a settings class.

        Args:
            kind: The class.
            path: Where it stands.
            besides: Keys that are no settings.
        """
        settings = settings_of(kind)
        properties = {name: self._property(setting, f"{path}.{name}") for name, setting in settings.items()}
        needed = [*(besides or {}), *(name for name, one in settings.items() if one.default is REQUIRED)]
        return _object({**(besides or {}), **properties}, summary(kind), needed)

    def _property(self, setting: Setting, path: str) -> Schema:
        forms = self._forms(setting.hint, path)
        if setting.name in self._lists:
            forms += self._elements(setting.hint, path)
        if setting.default is not REQUIRED or path in FILE_SECTIONS or path.startswith("agent."):
            forms.append(_NOTHING)
        unit = f" [{setting.unit}]" if setting.unit else ""
        shown: Schema = {"description": f"{setting.text}{unit}", **_any_of(forms)}
        if setting.unit:
            shown["x-unit"] = setting.unit
        default = setting.default
        if default not in (REQUIRED, None) and not dataclasses.is_dataclass(default):
            shown["default"] = dump(default, setting.hint)
        return shown

    def _forms(self, hint: Any, path: str) -> list[Schema]:
        """Everything that may stand for a value."""
        forms = self._long_forms(hint, path)
        key = form_key(path)
        short = FORMS.get(key)
        if key in LISTS:
            forms += self._elements(hint, path)
        if short is None:
            return forms
        if not short.keys and not short.words:
            return forms + self._elements(hint, path)
        kinds = variants(hint)
        for name in short.keys:
            if "" in kinds:
                forms += self._long_forms(settings_of(kinds[""])[name].hint, f"{path}.{name}")
            else:
                forms.append({"enum": list(kinds)})
        if short.words:
            forms.append({"enum": list(short.words)})
        if short.number:
            forms.append({"$ref": "#/definitions/number"})
        return [*forms, _VARIABLE]

    def _long_forms(self, hint: Any, path: str) -> list[Schema]:
        if kinds := variants(hint):
            if kinds.get("") is AgentSettings:
                return [{"$ref": "#/definitions/agent"}]
            return [self.settings(kinds[""], path) if "" in kinds else self._typed(kinds, path)]
        base = registered_base(hint)
        if base is not None:
            one = self._registered(base)
            return [one] if base in members(hint) else [one, {"type": "array", "items": one, "minItems": 1}]
        forms: list[Schema] = []
        for kind in members(hint):
            if kind is not type(None):
                forms += self._plain(kind, path)
        return forms

    def _plain(self, kind: Any, path: str) -> list[Schema]:
        """A scalar, a list or a mapping."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Literal:
            return [{"enum": list(arguments)}, _VARIABLE]
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return [{"type": "object", "additionalProperties": _any_of(self._forms(arguments[1], path))}]
        if origin is not None:
            return [{"type": "array", "items": _any_of(self._elements(kind, path))}]
        return [{"$ref": f"#/definitions/{_NAMES[kind]}"} if kind in _NAMES else {}]

    def _elements(self, hint: Any, path: str) -> list[Schema]:
        """Return the forms of one entry of a list."""
        for kind in members(hint):
            inner = [argument for argument in get_args(kind) if argument is not Ellipsis]
            if inner:
                return self._long_forms(inner[0], path)
        return []

    def _typed(self, kinds: Mapping[str, type[Any]], path: str) -> Schema:
        """A mapping whose keys its `type` decides about."""
        found = {
            name: self.settings(kind, path, {"type": {"const": name, "description": summary(kind)}})
            for name, kind in kinds.items()
        }
        return _by_type(found)

    def _registered(self, base: type[Registered]) -> Schema:
        """A reference to the implementations of a kind; they may hold others of it (`fallback`)."""
        group = base.entry_points.partition(".")[2]
        if group not in self.made:
            self.made[group] = {}
            found = {}
            for name, kind in implementations(base).items():
                if name in self._leave_out:
                    continue
                own = self.settings(kind, group, {"type": {"const": name, "description": summary(kind)}})
                self.made[f"{group}.{name}"] = own
                found[name] = {"$ref": f"#/definitions/{group}.{name}"}
            self.made[group] = _by_type(found)
        return {"$ref": f"#/definitions/{group}"}


def _object(properties: Mapping[str, Schema], text: str, required: list[str] | None = None) -> Schema:
    made: Schema = {
        "type": "object",
        "description": text,
        "additionalProperties": False,
        "properties": dict(properties),
    }
    return {**made, "required": required} if required else made


def _by_type(kinds: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"anyOf": [{"enum": list(kinds)}, _VARIABLE]}},
        "allOf": [
            {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": kind}
            for name, kind in kinds.items()
        ],
    }


def _any_of(forms: list[Schema]) -> Schema:
    unique = [form for index, form in enumerate(forms) if form not in forms[:index]]
    return {"anyOf": unique}
