from __future__ import annotations

from fishjam_agents.turns.floor import Floor, FloorEvent, GaveWay
from fishjam_agents.turns.machine import (
    Confirmed,
    SpeechStarted,
    Suspected,
    TurnEnded,
    TurnStarted,
    Withdrawn,
)


def test_the_first_to_speak_holds_the_floor_until_their_turn_ends() -> None:
    floor: Floor[str] = Floor()
    assert floor.handle("alice", TurnStarted(1.0)) == [FloorEvent("alice", TurnStarted(1.0))]
    assert floor.handle("bob", TurnStarted(1.2)) == []
    assert floor.holder == "alice"
    assert floor.handle("alice", TurnEnded(1.0, 2.0)) == [
        FloorEvent("alice", TurnEnded(1.0, 2.0)),
        FloorEvent("bob", TurnStarted(1.2)),
    ]
    assert floor.holder == "bob"


def test_a_turn_that_was_taken_back_does_not_wait_for_the_floor() -> None:
    floor: Floor[str] = Floor()
    floor.handle("alice", TurnStarted(1.0))
    floor.handle("bob", TurnStarted(1.2))
    assert floor.handle("bob", TurnEnded(1.2, 1.6, "cancelled")) == []
    ended = TurnEnded(1.0, 2.0, "cancelled")
    assert floor.handle("alice", ended) == [FloorEvent("alice", ended)]
    assert floor.next_waiting() == []


def test_a_turn_that_ended_meanwhile_is_heard_when_the_room_is_quiet() -> None:
    floor: Floor[str] = Floor()
    floor.handle("alice", TurnStarted(1.0))
    floor.handle("bob", TurnStarted(1.2))
    assert floor.handle("bob", TurnEnded(1.2, 1.6)) == []
    assert floor.next_waiting() == []
    floor.handle("alice", TurnEnded(1.0, 3.0))
    assert floor.next_waiting() == [
        FloorEvent("bob", TurnStarted(1.2)),
        FloorEvent("bob", TurnEnded(1.2, 1.6)),
    ]
    assert floor.next_waiting() == []


def test_one_cough_after_another_is_one_silence() -> None:
    floor: Floor[str] = Floor()
    assert floor.handle("alice", Suspected(1.0))
    assert floor.handle("bob", Suspected(1.1)) == []
    assert floor.handle("alice", Withdrawn(1.2)) == []
    assert floor.holder == "bob"
    assert floor.handle("bob", Withdrawn(1.3)) == [FloorEvent("bob", Withdrawn(1.3))]
    assert floor.holder is None


def test_words_outrank_a_cough() -> None:
    floor: Floor[str] = Floor()
    floor.handle("alice", Suspected(1.0))
    floor.handle("bob", Suspected(1.1))
    assert floor.handle("bob", Confirmed(1.1)) == [FloorEvent("bob", Confirmed(1.1))]
    assert floor.handle("bob", TurnStarted(1.1)) == [FloorEvent("bob", TurnStarted(1.1))]
    assert floor.handle("alice", Withdrawn(1.3)) == []
    assert floor.holder == "bob"


def test_a_barge_in_does_not_take_the_floor_from_an_open_turn() -> None:
    floor: Floor[str] = Floor()
    floor.handle("alice", TurnStarted(1.0))
    assert floor.handle("bob", Suspected(1.1)) == []
    assert floor.handle("bob", Confirmed(1.1)) == []
    assert floor.holder == "alice"


def test_speech_alone_changes_nothing() -> None:
    floor: Floor[str] = Floor()
    assert floor.handle("alice", SpeechStarted(1.0)) == []
    assert floor.holder is None


def test_who_gives_way_is_heard_after_the_others() -> None:
    floor: Floor[str] = Floor()
    floor.handle("tv", TurnStarted(1.0))
    floor.handle("ann", TurnStarted(2.0))
    assert floor.handle("ann", TurnEnded(2.0, 4.0)) == []
    assert floor.give_way() == [FloorEvent("tv", GaveWay(1.0))]
    assert floor.behind == {"tv"}
    assert [event.key for event in floor.next_waiting()] == ["ann", "ann"]
    assert floor.handle("tv", TurnEnded(1.0, 9.0)) == []
    assert [event.key for event in floor.next_waiting()] == ["tv", "tv"]
    assert floor.handle("tv", TurnStarted(9.5)) == [FloorEvent("tv", TurnStarted(9.5))]


def test_who_gives_way_to_a_speaker_hands_over_the_floor() -> None:
    floor: Floor[str] = Floor()
    assert floor.give_way() == []
    floor.handle("tv", TurnStarted(1.0))
    floor.handle("ann", TurnStarted(2.0))
    assert floor.give_way() == [
        FloorEvent("tv", GaveWay(1.0)),
        FloorEvent("ann", TurnStarted(2.0)),
    ]


def test_what_is_in_the_background_interrupts_nobody_until_it_has_been_quiet() -> None:
    floor: Floor[str] = Floor()
    floor.handle("tv", TurnStarted(1.0))
    floor.give_way(background=True)
    floor.handle("tv", TurnEnded(1.0, 9.0))
    for event in (
        Suspected(10.0),
        Confirmed(10.0),
        TurnStarted(10.0),
        TurnEnded(10.0, 20.0),
        Suspected(22.9),
    ):
        assert floor.handle("tv", event) == []
    assert floor.handle("tv", Withdrawn(23.0)) == []
    assert floor.handle("tv", Suspected(23.1)) == [FloorEvent("tv", Suspected(23.1))]


def test_a_turn_at_its_limit_leaves_the_floor_to_who_waits() -> None:
    floor: Floor[str] = Floor()
    floor.handle("tv", TurnStarted(1.0))
    floor.handle("ann", TurnStarted(2.0))
    floor.handle("ann", TurnEnded(2.0, 4.0))
    assert floor.handle("tv", TurnEnded(1.0, 61.0, "limit")) == [
        FloorEvent("tv", TurnEnded(1.0, 61.0, "limit"))
    ]
    assert floor.handle("tv", TurnStarted(61.0)) == []
    assert [event.key for event in floor.next_waiting()] == ["ann", "ann"]


def test_what_one_says_while_others_have_the_floor_is_one_turn() -> None:
    floor: Floor[str] = Floor()
    floor.handle("ann", TurnStarted(1.0))
    for start in (2.0, 4.0):
        floor.handle("bob", TurnStarted(start))
        floor.handle("bob", TurnEnded(start, start + 1))
    floor.handle("bob", TurnStarted(6.0))
    floor.handle("ann", TurnEnded(1.0, 6.5, "cancelled"))
    floor.handle("bob", TurnEnded(6.0, 7.0, "cancelled"))
    assert floor.next_waiting() == [
        FloorEvent("bob", TurnStarted(2.0)),
        FloorEvent("bob", TurnEnded(2.0, 5.0)),
    ]
    assert floor.next_waiting() == []
