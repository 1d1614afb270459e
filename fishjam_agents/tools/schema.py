"""JSON schemas as models take them: without references, titles and other ballast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fishjam_agents.tools.portable_schema import portable

_MAPS = frozenset({"properties", "patternProperties"})
"""Keys whose own keys are names and no keywords."""
_DROPPED = frozenset({"title", "$schema", "$id", "$defs", "definitions", "$comment"})


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references put in place, in a form that every vendor takes.

    Args:
        schema: JSON schema of an object; its references lead to its own `$defs` or `definitions`.

    Raises:
        ValueError: It is no object's, or it cannot be written without references.
    """
    return portable(_plain(schema, schema, ()))


def _plain(node: Any, root: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_plain(item, root, within) for item in node]
    if not isinstance(node, Mapping):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        if reference in within:
            raise ValueError(
                f"the type {reference.rpartition('/')[2]} contains itself, which no model can be told"
            )
        target = _plain(_resolve(reference, root), root, (*within, reference))
        # What stands beside a reference (a description) is closer to the use than what it leads to.
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key in _MAPS and isinstance(value, Mapping):
            plain[key] = {name: _plain(item, root, within) for name, item in value.items()}
        elif key in ("default", "enum", "const", "examples", "required"):
            plain[key] = value
        elif key not in _DROPPED:
            plain[key] = _plain(value, root, within)
    return plain


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    path = reference.removeprefix("#/").split("/")
    for part in path if reference.startswith("#/") else [reference]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or key not in node:
            raise ValueError(f"its schema refers to {reference}, which it does not hold")
        node = node[key]
    return node


def summary(parameters: Mapping[str, Any]) -> str:
    """The parameters of a schema in one line: `city: string, days?: integer`."""
    required = parameters.get("required", ())
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(item)}"
        for name, item in parameters.get("properties", {}).items()
    )


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    kind = schema.get("type", "any")
    if "anyOf" in schema:
        return "|".join(dict.fromkeys(_type(item) for item in schema["anyOf"]))
    if kind == "array":
        return f"{_type(schema.get('items', {}))}[]"
    return "|".join(kind) if isinstance(kind, list) else str(kind)
