"""Schemas that every vendor takes: what one of them refuses is written otherwise, or left out.

A schema that says less only lets the model give more: whoever answers the call checks its arguments. What
vendors refuse is from their documents and refusals: OpenAI wants `items` of every array and no `anyOf` and
the like at the top (platform.openai.com/docs/guides/structured-outputs), Gemini no `required` without a
property (ai.google.dev/api/caching#Schema).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_MAPS = frozenset({"properties", "patternProperties"})
_VALUES = frozenset({"default", "const", "examples"})
_CHOICES = ("anyOf", "oneOf", "allOf")
_DROPPED = frozenset(
    {
        *("discriminator", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies"),
        *("unevaluatedProperties", "unevaluatedItems", "prefixItems"),
    }
)
"""Conditions between parameters, and a mapping whose targets are in place already."""
_TYPES = {
    **dict.fromkeys(("string", "str", "text"), "string"),
    **dict.fromkeys(("integer", "int", "long"), "integer"),
    **dict.fromkeys(("number", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "tuple", "set"), "array"),
    **dict.fromkeys(("object", "dict", "map"), "object"),
    "null": "null",
}
"""Names of types, with those that servers write by mistake. Any other is left out."""


def portable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object's schema in a form that every vendor takes.

    Args:
        schema: JSON schema without references.

    Raises:
        ValueError: It is no object's.
    """
    made: dict[str, Any] = _portable(schema)
    for key in _CHOICES:
        branches = made.pop(key, None)
        if branches:
            made = _merged(made, branches, every=key == "allOf")
    for key in ("not", "enum", "const"):
        made.pop(key, None)
    kind = made.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise ValueError("its parameters are no JSON object")
    made["type"] = "object"
    made.setdefault("properties", {})
    return _with_known_required(made)


def _merged(made: Mapping[str, Any], branches: Sequence[Any], *, every: bool) -> dict[str, Any]:
    """An object with the properties of its branches; required is what is in every case."""
    properties = dict(made.get("properties", {}))
    required = dict.fromkeys(made.get("required", ()))
    lists = []
    for branch in branches:
        # A branch may hold branches; what is no object's ends here.
        whole = portable(branch)
        for name, value in whole["properties"].items():
            known = properties.get(name)
            if known is None or known == {}:
                properties[name] = value
            elif known != value:
                choices = known["anyOf"] if set(known) == {"anyOf"} else [known]
                properties[name] = known if value in choices else {"anyOf": [*choices, value]}
        lists.append(whole.get("required", ()))
    for name in dict.fromkeys(name for names in lists for name in names):
        if every or all(name in names for names in lists):
            required[name] = None
    merged = {**made, "type": "object", "properties": properties}
    return {**merged, "required": list(required)} if required else merged


def _portable(node: Any) -> Any:
    if not isinstance(node, Mapping):
        # `true` and `false` are schemas, too.
        return {}
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key in _MAPS:
            if not isinstance(value, Mapping):
                raise ValueError(f"{key} in its schema is no object")
            made[key] = {str(name): _portable(item) for name, item in value.items()}
        elif key in _CHOICES:
            if _has_branches(value):
                # Gemini knows no `oneOf`, and to a model it is the same.
                renamed = key == "oneOf" and not _has_branches(node.get("anyOf"))
                made["anyOf" if renamed else key] = [_portable(item) for item in value]
        elif key == "additionalProperties":
            made[key] = value if isinstance(value, bool) else _portable(value)
        elif key == "not":
            made[key] = _portable(value)
        elif (kept := _kept(key, value)) is not None:
            made[key] = kept
    _items(node, made)
    return _with_known_required(made)


def _has_branches(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _kept(key: str, value: Any) -> Any:
    """The value of any other keyword; None where it is left out."""
    if key in _DROPPED or key == "items" or key.startswith(("$", "x-")):
        return None
    match key:
        case "type":
            names = value if isinstance(value, list) else [value]
            known = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
            return (list(dict.fromkeys(known)) if isinstance(value, list) else known[0]) if known else None
        case "enum":
            return value if isinstance(value, list) and value else None
        case "required":
            return [name for name in value if isinstance(name, str)] if isinstance(value, list) else None
        case "description":
            return value if isinstance(value, str) else None
        case "pattern":
            try:
                re.compile(value)
            except (TypeError, re.error):
                return None
    return value


def _items(node: Mapping[str, Any], made: dict[str, Any]) -> None:
    """Give an array one schema of what it holds, which vendors want of every array."""
    kinds = made.get("type")
    if kinds != "array" and not (isinstance(kinds, list) and "array" in kinds) and "items" not in node:
        return
    items = node.get("items")
    tuples = [each for each in (items, node.get("prefixItems")) if isinstance(each, list)]
    if not tuples:
        made["items"] = _portable(items)
        return
    kept: list[Any] = []
    for each in map(_portable, tuples[0]):
        if each not in kept:
            kept.append(each)
    made["items"] = {"anyOf": kept} if len(kept) > 1 else kept[0] if kept else {}


def _with_known_required(made: dict[str, Any]) -> dict[str, Any]:
    if "required" in made and "properties" in made:
        made["required"] = [name for name in made["required"] if name in made["properties"]]
        if not made["required"]:
            del made["required"]
    return made
