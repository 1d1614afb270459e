"""Schemas of tools as every vendor takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.tools.portable_schema import portable
from fishjam_agents.tools.schema import plain_schema
from fishjam_agents.tools.signature import function_tool

STRING, NUMBER = {"type": "string"}, {"type": "number"}


def thing(schema: Any) -> Any:
    """What becomes of the schema of a parameter."""
    return portable({"type": "object", "properties": {"thing": schema}})["properties"]["thing"]


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": ["array", "null"]}, {"type": ["array", "null"], "items": {}}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        (
            {"type": "array", "items": [STRING, NUMBER]},
            {"type": "array", "items": {"anyOf": [STRING, NUMBER]}},
        ),
        ({"type": "array", "prefixItems": [STRING, STRING]}, {"type": "array", "items": STRING}),
        (
            {"type": "array", "items": {"type": "array"}},
            {"type": "array", "items": {"type": "array", "items": {}}},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "list"}}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
        ),
        ({"type": "str"}, STRING),
        ({"type": "any", "description": "x"}, {"description": "x"}),
        ({"type": ["int", "null", "integer"]}, {"type": ["integer", "null"]}),
        (True, {}),
        ({"type": "string", "pattern": "("}, STRING),
        ({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
        ({"type": "string", "enum": []}, STRING),
        ({"type": "string", "required": True}, STRING),
        ({"type": "string", "x-order": 1, "$comment": "no"}, STRING),
        ({"oneOf": [STRING, NUMBER], "discriminator": {"propertyName": "kind"}}, {"anyOf": [STRING, NUMBER]}),
        ({"anyOf": []}, {}),
        ({"anyOf": [], "oneOf": [STRING, NUMBER]}, {"anyOf": [STRING, NUMBER]}),
        (
            {"type": "object", "properties": {"a": STRING}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": STRING}, "required": ["a"]},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "array"}},
            {"type": "object", "additionalProperties": {"type": "array", "items": {}}},
        ),
        # Names of parameters are no keywords.
        (
            {"type": "object", "properties": {"discriminator": STRING, "if": NUMBER}},
            {"type": "object", "properties": {"discriminator": STRING, "if": NUMBER}},
        ),
        ({"default": {"type": "array"}, "type": "object"}, {"default": {"type": "array"}, "type": "object"}),
    ],
)
def test_a_parameter_is_told_as_vendors_take_it(schema: Any, made: Any) -> None:
    assert thing(schema) == made


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"type": ["object", "null"]}, {"type": "object", "properties": {}}),
        (
            {
                "oneOf": [
                    {"properties": {"a": STRING}, "required": ["a"]},
                    {"properties": {"a": NUMBER}, "required": ["a"]},
                ]
            },
            {"type": "object", "properties": {"a": {"anyOf": [STRING, NUMBER]}}, "required": ["a"]},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": STRING}, "required": ["a"]},
                    {"properties": {"b": NUMBER}, "required": ["b"]},
                ]
            },
            {"type": "object", "properties": {"a": STRING, "b": NUMBER}, "required": ["a", "b"]},
        ),
        (
            {"properties": {"a": STRING, "b": NUMBER}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"type": "object", "properties": {"a": STRING, "b": NUMBER}},
        ),
        (
            {
                "properties": {"a": STRING},
                "not": {"required": ["a"]},
                "if": {"required": ["a"]},
                "then": False,
            },
            {"type": "object", "properties": {"a": STRING}},
        ),
        (
            {"anyOf": [{"anyOf": [{"properties": {"a": STRING}}]}]},
            {"type": "object", "properties": {"a": STRING}},
        ),
    ],
)
def test_choices_at_the_top_become_one_object(schema: Any, made: Any) -> None:
    assert portable(schema) == made


@pytest.mark.parametrize(
    "schema", [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "object"}]}, {"properties": []}]
)
def test_what_is_no_object_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match="object"):
        portable(schema)


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    names: list = []  # type: ignore[type-arg]


def test_a_union_that_is_told_apart_by_a_field_leaves_no_mapping_to_what_is_not_there() -> None:
    def feed(animal: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")], at: tuple[int, int]) -> None:
        """Feed an animal."""

    parameters = function_tool(feed, "feed").declaration.parameters
    assert not list(faults(parameters))
    assert "$defs" not in str(parameters)


NODES = st.recursive(
    st.sampled_from(
        [True, False, {"type": "string"}, {"type": "array"}, {"type": "any"}, {"type": ["array"]}, {}]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "list", ["object", "null"], 7, None]),
            "properties": st.dictionaries(st.sampled_from(["a", "b", "type", "items"]), inner, max_size=3),
            "items": inner | st.lists(inner, max_size=2),
            "prefixItems": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=3),
            "oneOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "required": st.lists(st.sampled_from(["a", "b", "c"])) | st.booleans(),
            "additionalProperties": inner,
            "discriminator": st.just({"propertyName": "a", "mapping": {"x": "#/$defs/X"}}),
            "not": inner,
            "enum": st.lists(st.text(max_size=2), max_size=2),
        },
    ),
    max_leaves=12,
)


def faults(schema: Any, *, top: bool = True) -> Iterator[str]:
    """What a vendor refuses in a schema."""
    if not isinstance(schema, Mapping):
        yield f"{schema!r} is no object"
        return
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if top and (schema.get("type") != "object" or {"anyOf", "oneOf", "allOf", "not", "enum"} & set(schema)):
        yield f"{schema} at the top"
    if "array" in kinds and "items" not in schema:
        yield f"{schema} without items"
    if not set(kinds) <= {"string", "number", "integer", "boolean", "array", "object", "null"}:
        yield f"{kinds} are no types"
    if "discriminator" in schema or "$ref" in schema:
        yield f"{schema} refers to something"
    if not set(schema.get("required", [])) <= set(schema.get("properties", schema.get("required", []))):
        yield f"{schema} requires what it has not"
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    for key in ("anyOf", "oneOf", "allOf"):
        inner += schema.get(key, [])
    for each in inner:
        yield from faults(each, top=False)


@given(NODES)
def test_whatever_a_server_tells_is_taken_by_every_vendor_or_refused_here(node: Any) -> None:
    if not isinstance(node, dict):
        return
    try:
        made = plain_schema(node)
    except ValueError:
        return
    assert list(faults(made)) == []
    assert portable(made) == made
