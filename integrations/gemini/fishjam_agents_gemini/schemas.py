"""JSON schemas as the older `Schema` of Google's API: some of OpenAPI 3.0; what it does not know is refused.

Source: the fields of google-genai's `types.Schema`. Descriptions take what it has no field for, as far as a
model can make use of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_DEEPEST = 16
"""Levels below which a schema is only an object: one that refers to itself has no end."""
_AS_THEY_ARE = {
    "nullable": "nullable",
    "minItems": "min_items",
    "maxItems": "max_items",
    "minimum": "minimum",
    "maximum": "maximum",
    "pattern": "pattern",
}
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_FORMATS = frozenset({"date-time", "int32", "int64", "float", "double"})
"""Formats that are taken; others of strings are refused."""


def as_openapi(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema in the form of `FunctionDeclaration.parameters`, its references resolved.

    Args:
        schema: JSON schema of an object.
    """
    return _Converter(schema).convert(schema, 0)


class _Converter:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def convert(self, schema: Any, depth: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            return {"type": "STRING"}
        if depth > _DEEPEST:
            return {"type": "OBJECT"}
        schema = self._flat(schema)
        kinds, nullable = _kinds(schema)
        options = [option for name in ("anyOf", "oneOf") for option in schema.get(name) or ()]
        nullable = nullable or any(_is_null(option) for option in options)
        options = [option for option in options if not _is_null(option)]
        if not options and len(kinds) > 1:
            options = [{**schema, "type": kind, "description": ""} for kind in kinds]
        if len(options) == 1:
            rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
            converted = self.convert({**self._flat(options[0]), **rest}, depth + 1)
        elif options:
            converted = {"any_of": [self.convert(option, depth + 1) for option in options]}
            if schema.get("description"):
                converted["description"] = str(schema["description"])
        else:
            converted = self._plain(schema, kinds[0] if kinds else _guess(schema), depth)
        if nullable:
            converted["nullable"] = True
        return converted

    def _plain(self, schema: Mapping[str, Any], kind: str, depth: int) -> dict[str, Any]:
        converted: dict[str, Any] = {"type": kind.upper()}
        notes = [str(schema["description"])] if schema.get("description") else []
        for name, there in _AS_THEY_ARE.items():
            if schema.get(name) is not None:
                converted[there] = schema[name]
        if schema.get("format") in _FORMATS:
            converted["format"] = schema["format"]
        elif schema.get("format"):
            notes.append(f"Format: {schema['format']}.")
        choices = [schema["const"]] if "const" in schema else list(schema.get("enum") or ())
        if kind == "string" and choices:
            converted["enum"] = [str(choice) for choice in choices if choice is not None]
        elif choices:
            notes.append(f"One of: {', '.join(json.dumps(choice) for choice in choices)}.")
        if "default" in schema:
            notes.append(f"Default: {json.dumps(schema['default'], default=str)}.")
        if kind == "array":
            converted["items"] = self.convert(schema.get("items", {}), depth + 1)
        properties = schema.get("properties") or {}
        if kind == "object" and properties:
            converted["properties"] = {
                name: self.convert(each, depth + 1) for name, each in properties.items()
            }
            required = [name for name in schema.get("required") or () if name in properties]
            if required:
                converted["required"] = required
        if notes:
            converted["description"] = " ".join(notes)
        return converted

    def _flat(self, schema: Any, depth: int = 0) -> Mapping[str, Any]:
        """A schema without `$ref` and `allOf`."""
        if not isinstance(schema, Mapping):
            return {}
        reference, parts = schema.get("$ref"), schema.get("allOf") or ()
        if (reference is None and not parts) or depth > _DEEPEST:
            return schema
        flat: dict[str, Any] = {}
        for part in (self._referred(reference), *parts):
            for name, value in self._flat(part, depth + 1).items():
                known = flat.get(name)
                if name == "properties" and isinstance(known, Mapping):
                    value = {**known, **value}
                elif name == "required" and isinstance(known, Sequence):
                    value = [*known, *value]
                flat[name] = value
        flat.update((name, value) for name, value in schema.items() if name not in ("$ref", "allOf"))
        return flat

    def _referred(self, reference: Any) -> Mapping[str, Any]:
        found: Any = self._root if isinstance(reference, str) and reference.startswith("#") else {}
        for name in str(reference or "").lstrip("#/").split("/"):
            if name:
                found = (
                    found.get(name.replace("~1", "/").replace("~0", "~"))
                    if isinstance(found, Mapping)
                    else None
                )
        return found if reference is not None and isinstance(found, Mapping) else {}


def _kinds(schema: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Types of a schema without null, and whether null is one."""
    given = schema.get("type")
    kinds = [given] if isinstance(given, str) else list(given or ())
    named = [str(kind).lower() for kind in kinds]
    return [kind for kind in named if kind in _TYPES], "null" in named


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and _kinds(schema) == ([], True)


def _guess(schema: Mapping[str, Any]) -> str:
    """Type of a schema that has none; text can say anything."""
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    choices = [schema["const"]] if "const" in schema else schema.get("enum") or ("",)
    kinds: dict[str, tuple[type, ...]] = {"boolean": (bool,), "integer": (int,), "number": (int, float)}
    fitting = (kind for kind, types in kinds.items() if all(isinstance(choice, types) for choice in choices))
    return next(fitting, "string")
