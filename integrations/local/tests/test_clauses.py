"""Sentences cut at their commas."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fishjam_agents_local.clauses import clauses
from hypothesis import given
from hypothesis import strategies as st

BOOKED = (
    "I have booked a table for two people on Friday at half past seven, and I have put it under the name of "
    "Anna, so you only need to come."
)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("  ", []),
        ("Yes.", ["Yes."]),
        ("Well, yes, of course.", ["Well, yes, of course."]),
        (
            BOOKED,
            [
                "I have booked a table for two people on Friday at half past seven,",
                "and I have put it under the name of Anna, so you only need to come.",
            ],
        ),
        (
            "No, I am afraid that we are closed on Mondays; please come on another day.",
            ["No, I am afraid that we are closed on Mondays;", "please come on another day."],
        ),
        (
            "The price of the large one is 1,000 euros, and at 10:30 it is half of that.",
            ["The price of the large one is 1,000 euros,", "and at 10:30 it is half of that."],
        ),
        (
            "It is open - as far as I know - on every day of the week but Monday.",
            ["It is open -", "as far as I know -", "on every day of the week but Monday."],
        ),
        (
            "\u4eca\u65e5\u306f\u3068\u3066\u3082\u5929\u6c17\u304c\u3044\u3044\u306e\u3067\u3001" * 4,
            [
                "\u4eca\u65e5\u306f\u3068\u3066\u3082\u5929\u6c17\u304c\u3044\u3044\u306e\u3067\u3001",
                "\u4eca\u65e5\u306f\u3068\u3066\u3082\u5929\u6c17\u304c\u3044\u3044\u306e\u3067\u3001" * 3,
            ],
        ),
        ("word " * 40, [("word " * 40).strip()]),
    ],
)
def test_a_long_sentence_is_cut_where_its_first_sound_comes_early(text: str, pieces: list[str]) -> None:
    assert clauses(text, first=48, growth=4.0) == pieces


def test_a_slow_voice_has_pieces_that_grow_no_faster_than_it_is() -> None:
    text = ", ".join(["one two three four"] * 20)
    lengths = [len(piece) for piece in clauses(text, first=20, growth=2.0)]
    assert lengths[0] < 22
    assert len(lengths) > 3
    assert all(after <= 2 * before + 20 for before, after in pairwise(lengths))


@given(
    st.text(alphabet="ab ,;:\u2014\u3001\"'1\n-", max_size=400),
    st.integers(1, 80),
    st.floats(1.0, 8.0),
)
def test_nothing_is_lost_and_no_piece_is_empty(text: str, first: int, growth: float) -> None:
    pieces = clauses(text, first=first, growth=growth)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece == piece.strip() != "" for piece in pieces)
