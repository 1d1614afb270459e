"""Whatever is said in whatever order, and spoken over wherever: nothing is booked that nobody confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.local.tests.talk import Minds, Talk

DIALOGUE = Path(__file__).parents[3] / "examples" / "offline_assistant" / "dialogue.yaml"
WHOLE = "A table for 4 on Friday at 7:30 under Miller."
TAKEN_BACK = ["Okay, cancel that.", "Yes, wait.", "All right, never mind."]
SAID = [
    *("I'd like to book a table.", WHOLE, "Cancel my booking.", "Four.", "On Monday.", "At half past seven."),
    *("It's Brown.", "Yes.", "Yes, please.", "Yes.", "No.", "No, for three.", "The name.", "Never mind."),
    *("What time is it?", "Set a timer for ten minutes.", "For thirty people.", "Hm.", "So long.", "Pardon?"),
    *(
        "The second one.",
        "What can you do?",
        "Where are you?",
        "Thank you.",
        "21.",
        "Blue elephants.",
        "",
        "?!",
    ),
    *TAKEN_BACK,
    *("[a note]", "é" * 400, "seven seven of the of the a a", "one hundred and", "in a", "half past"),
]
HEARD = st.sampled_from([None, None, None, 0.0, 0.1, 0.5, 0.8, 0.95])
TURN = st.tuples(st.sampled_from(SAID), HEARD, st.booleans())
CONFIRMING = st.tuples(st.just(WHOLE), HEARD, st.just(True))
TURNS = st.builds(
    lambda begin, rest: [*begin, *rest], st.lists(CONFIRMING, max_size=1), st.lists(TURN, max_size=10)
)


@pytest.fixture(scope="module")
def minds() -> Minds:
    return Minds(DIALOGUE)


@pytest.mark.timeout(240)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=TURNS, works=st.booleans())
def test_nothing_is_booked_that_was_not_heard_and_confirmed(
    minds: Minds, turns: list[tuple[str, float | None, bool]], works: bool
) -> None:
    talk = Talk(minds, book_table="21" if works else "error: book_table: we are full.")
    asked = ""
    for text, heard, answered in turns:
        calls = len(talk.calls)
        said = talk.say(text, heard=heard, answered=answered or heard is not None)
        for call in talk.calls[calls:]:
            if call.tool == "book_table":
                assert set(call.arguments) == {"people", "day", "time", "name"}
                assert text not in TAKEN_BACK
                assert f"A table for {call.arguments['people']}, " in asked
                assert f"under the name of {call.arguments['name']}." in asked
        assert len(talk.calls) <= calls + 1
        # What was heard of a question that nobody has answered yet still stands.
        if said:
            asked = said if heard is None else said[: round(heard * len(said))]
