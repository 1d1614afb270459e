"""JSON schemas of tools for models that know only the older form of Google's API."""

from __future__ import annotations

from typing import Any

import pytest
from fishjam_agents_gemini.emulator.rules import refusal_of_tools
from fishjam_agents_gemini.schemas import as_openapi
from google.genai import types


@pytest.mark.parametrize(
    ("schema", "there"),
    [
        ({"type": "string"}, {"type": "STRING"}),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, {"type": "INTEGER", "minimum": 1}),
        ({"type": "string", "description": "A day."}, {"type": "STRING", "description": "A day."}),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"]}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        ({"enum": [1, 2]}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        (
            {"type": "string", "format": "email", "description": "Whom.", "title": "To"},
            {"type": "STRING", "description": "Whom. Format: email."},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        (
            {"type": ["string", "integer"]},
            {"any_of": [{"type": "STRING"}, {"type": "INTEGER"}]},
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "description": "Age."},
            {"type": "INTEGER", "description": "Age. Default: null.", "nullable": True},
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}], "description": "Id."},
            {
                "any_of": [{"type": "INTEGER"}, {"type": "STRING"}],
                "description": "Id.",
                "nullable": True,
            },
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "items": {"type": "number"}, "maxItems": 2},
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "max_items": 2},
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
        ({"additionalProperties": True}, {"type": "OBJECT"}),
        ({}, {"type": "STRING"}),
        (True, {"type": "STRING"}),
        ({"$ref": "#/$defs/Shop"}, {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}}),
        (
            {"$ref": "#/$defs/Shop", "description": "Where."},
            {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "description": "Where."},
        ),
        (
            {"allOf": [{"$ref": "#/$defs/Shop"}, {"properties": {"no": {"type": "integer"}}}]},
            {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "no": {"type": "INTEGER"}}},
        ),
        ({"$ref": "#/$defs/Nothing"}, {"type": "STRING"}),
        ({"$ref": "https://example.com/schema"}, {"type": "STRING"}),
    ],
)
def test_what_a_schema_says_is_kept_as_far_as_the_older_form_can_say_it(schema: Any, there: Any) -> None:
    shop = {"type": "object", "properties": {"name": {"type": "string"}}, "title": "Shop"}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"it": schema, "again": schema},
        "required": ["it", "missing"],
        "$defs": {"Shop": shop},
    }
    converted = as_openapi(whole)
    assert converted == {"type": "OBJECT", "properties": {"it": there, "again": there}, "required": ["it"]}
    # Google's client and the service, as the emulator has it, know every field.
    types.Schema.model_validate(converted)
    assert refusal_of_tools("gemini-2.5", [{"functionDeclarations": [{"parameters": converted}]}]) is None


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    converted = as_openapi(
        {"type": "object", "properties": {"root": {"$ref": "#/$defs/Tree"}}, "$defs": {"Tree": tree}}
    )
    depth, at = 0, converted
    while "properties" in at:
        at = next(iter(at["properties"].values()))
        depth += 1
    assert at == {"type": "OBJECT"}
    assert 3 < depth < 20
    knot: dict[str, Any] = {"type": "object", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    knot["properties"] = {"a": {"$ref": "#/$defs/A"}}
    assert as_openapi(knot)["properties"] == {"a": {"type": "STRING"}}
