"""What a tool returned, as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from fishjam_agents.tools.results import UnspeakableError, written

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()),
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.tuples(inside, inside),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers()), inside, max_size=4),
    ),
    max_leaves=12,
)


@given(value=ANYTHING, most=st.integers(1, 60))
def test_a_result_is_the_json_that_pydantic_makes_of_it_or_its_beginning(value: Any, most: int) -> None:
    expected = value if isinstance(value, str) else to_json(value, inf_nan_mode="strings").decode()
    expected = "done" if value is None else expected
    assert written(value, 10**6) == expected
    assert value is None or written(value, most) == expected[:most]


def test_a_result_that_contains_itself_is_told_in_words() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnspeakableError, match="more than 100 lists or mappings in one another"):
        written(endless, 1000)
