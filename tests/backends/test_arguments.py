"""Arguments of tool calls in the forms in which models and servers write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.backends.arguments import read_arguments


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": "so, }",\n}', {"a": "so, }"}),
        ('{"a": "one \\" ,] two",}', {"a": 'one " ,] two'}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        (' {"a": {"b": {}}} ', {"a": {"b": {}}}),
    ],
)
def test_arguments_are_read_as_what_they_mean(given: object, arguments: dict[str, Any]) -> None:
    assert read_arguments(given) == (arguments, None)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('{"city": "Os', 'they are no JSON: {"city": "Os'),
        ("city=Oslo", "they are no JSON: city=Oslo"),
        ('{"a": 1} {"b": 2}', 'they are no JSON: {"a": 1} {"b": 2}'),
        ("[1]", "they are no JSON object: [1]"),
        ('"Oslo"', 'they are no JSON object: "Oslo"'),
        ("7", "they are no JSON object: 7"),
        (["a"], "they are no JSON object: ['a']"),
        ({1: 2}, "they are no JSON object: {1: 2}"),
        ("{1, 2}", "they are no JSON: {1, 2}"),
        ("[" * 100_000, "they are no JSON: " + "[" * 200 + "..."),
        ("x" * 300_000, "they have more than 200000 characters: " + "x" * 200 + "..."),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_made_of_it(given: object, problem: str) -> None:
    assert read_arguments(given) == ({}, problem)


@given(st.recursive(st.none() | st.booleans() | st.text() | st.floats() | st.binary(), st.lists) | st.text())
def test_nothing_that_comes_raises(given: object) -> None:
    arguments, problem = read_arguments(given)
    assert isinstance(arguments, dict)
    assert problem is None or not arguments
