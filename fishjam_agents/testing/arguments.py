"""Arguments for a tool, made up from its schema: what a model would do that knows nothing but the schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_EXAMPLE = re.compile(
    r"\b(?:like|such as|e\.g\.,?|for example:?)\s+"
    r"(?:`(?P<code>[^`]+)`|\"(?P<double>[^\"]+)\"|'(?P<single>[^']+)'|(?P<number>-?\d+(?:\.\d+)?))"
)
"""An example that a description gives: `like 7`, `such as "boots"`."""
_FORMATS = {
    "date": "2026-11-21",
    "time": "09:30:00",
    "date-time": "2026-11-21T09:30:00Z",
    "duration": "PT15M",
    "email": "ann@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""Strings by the formats of JSON Schema that are common in tools."""


def arguments_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The required arguments, always the same.

    Args:
        schema: JSON schema of an object, without references, or an OpenAPI one with types in capitals.
    """
    properties = schema.get("properties", {})
    return {name: _value(name, properties.get(name, {})) for name in schema.get("required", ())}


def _value(name: str, schema: Mapping[str, Any]) -> Any:
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    kind = _kind(schema)
    said = _said(kind, schema.get("description", ""))
    if said is not None:
        return said
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(key, ()):
            if _kind(option) != "null":
                return _value(name, option)
    match kind:
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "array":
            return [_value(name, schema.get("items", {}))] * max(1, schema.get("minItems", 1))
        case "object":
            return arguments_for(schema)
        case "null":
            return None
        case _:
            return _string(name, schema)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = next((each for each in kind if each != "null"), "null")
    return str(kind).lower()


def _said(kind: str, description: str) -> Any:
    example = _EXAMPLE.search(description)
    if example is None or kind not in ("string", "integer", "number"):
        return None
    text = next(group for group in example.groups() if group is not None)
    if kind == "string":
        return text
    if not re.fullmatch(r"-?\d+" if kind == "integer" else r"-?\d+(\.\d+)?", text):
        return None
    return int(text) if kind == "integer" else float(text)


def _number(schema: Mapping[str, Any]) -> float:
    lowest = schema.get("minimum")
    if lowest is None and schema.get("exclusiveMinimum") is not None:
        lowest = schema["exclusiveMinimum"] + 1
    highest = schema.get("maximum")
    if highest is None and schema.get("exclusiveMaximum") is not None:
        highest = schema["exclusiveMaximum"] - 1
    value: float = 1 if lowest is None else max(1, lowest)
    return value if highest is None else min(value, highest)


def _string(name: str, schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), name)
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]
