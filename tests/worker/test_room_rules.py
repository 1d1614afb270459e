"""Which rooms get which bot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fishjam_agents.worker import Person, RoomRule, RoomSnapshot
from fishjam_agents.worker.room_rules import select_bot


def person(server: Mapping[str, Any] | None = None, own: Mapping[str, Any] | None = None) -> Person:
    return Person("p", (server or {}, own or {}))


RULES = (
    RoomRule("first", id=("a", "b")),
    RoomRule("quiet", type="audio_only", peer={"plan": "gold"}),
    RoomRule("gold", peer={"plan": "gold"}),
    RoomRule("audio", type="audio_only"),
    RoomRule("stage", type="livestream"),
    RoomRule("made", create=2),
)


@pytest.mark.parametrize(
    ("room", "bot"),
    [
        (RoomSnapshot("a", "audio_only"), "first"),
        (RoomSnapshot("c", "audio_only"), "audio"),
        (RoomSnapshot("c", "audio_only", (person({"plan": "gold"}),)), "quiet"),
        (RoomSnapshot("c", people=(person({"plan": "gold"}),)), "gold"),
        (RoomSnapshot("c", people=(person(own={"plan": "gold"}),)), "gold"),
        # The application says otherwise than the person.
        (RoomSnapshot("c", people=(person({"plan": "free"}, {"plan": "gold"}),)), None),
        (RoomSnapshot("c", people=(person(), person({"plan": "gold"}))), "gold"),
        (RoomSnapshot("c"), None),
        # Older names of types are the same types.
        (RoomSnapshot("c", "broadcaster"), "stage"),
        (RoomSnapshot("c", "livestream", (person({"plan": "gold"}),)), "stage"),
    ],
)
def test_the_first_rule_that_a_room_fits_counts(room: RoomSnapshot, bot: str | None) -> None:
    assert select_bot(RULES, room) == bot


def test_rooms_that_are_made_are_known_by_their_ids() -> None:
    made = RULES[-1].with_rooms(["x", "y"])
    assert select_bot([made], RoomSnapshot("y")) == "made"
    assert select_bot([made], RoomSnapshot("z")) is None


def test_every_room() -> None:
    assert select_bot([RoomRule("any", every=True)], RoomSnapshot("z")) == "any"
    assert select_bot([RoomRule("any", every=True)], RoomSnapshot("z", "full_feature")) == "any"


def test_nobody_talks_to_a_bot_in_a_livestream() -> None:
    assert select_bot([RoomRule("any", every=True)], RoomSnapshot("z", "audio_only_livestream")) is None
