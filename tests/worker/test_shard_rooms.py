"""Rooms that a shard takes, and when it steps in for another one."""

from __future__ import annotations

import math

import pytest

from fishjam_agents.worker import Person, RoomSnapshot
from fishjam_agents.worker.rendezvous import assigned_to, rank_of
from fishjam_agents.worker.settings import ShardSettings
from fishjam_agents.worker.shard_rooms import ShardRooms

COUNT = 3
TAKEOVER = 10.0
ANN, BOB = Person("ann"), Person("bob")


def shards() -> list[ShardRooms]:
    return [ShardRooms(index, COUNT, TAKEOVER) for index in range(COUNT)]


def shard_of(room: str, rank: int) -> ShardRooms:
    """A shard that has looked once, and comes in that place for a room."""
    names = [str(index) for index in range(COUNT)]
    index = next(index for index in range(COUNT) if rank_of(str(index), room, names) == rank)
    shard = ShardRooms(index, COUNT, TAKEOVER)
    shard.looked({}, 0.0)
    return shard


def look(shard: ShardRooms, now: float, *people: Person, bots: tuple[str, ...] = (), lost: str = "") -> bool:
    """Show it the room `r`; whether it would take it."""
    room = RoomSnapshot("r", people=people, bots=bots, disconnected=(lost,) if lost else ())
    shard.looked({"r": room}, now)
    return "r" not in shard.left_to_others(now)


def test_every_room_is_the_own_one_of_one_shard_and_ranks_agree_with_rendezvous_hashing() -> None:
    names = [str(index) for index in range(COUNT)]
    rooms = {f"r{index}": RoomSnapshot(f"r{index}", people=(ANN,)) for index in range(300)}
    taken = []
    for shard in shards():
        shard.looked(rooms, 0.0)
        taken.append(rooms.keys() - shard.left_to_others(0.0))
    assert sum(map(len, taken)) == len(set().union(*taken)) == len(rooms)
    assert all(60 < len(own) < 140 for own in taken)
    for room in rooms:
        assert rank_of(assigned_to(room, names), room, names) == 0
        assert sorted(rank_of(name, room, names) for name in names) == [0, 1, 2]


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_people_whom_nobody_serves_are_taken_by_one_shard_after_the_other(rank: int) -> None:
    shard = shard_of("r", rank)
    due = 5.0 + rank * TAKEOVER
    assert look(shard, 5.0, ANN) is (rank == 0)
    assert shard.next_due() == (due if rank else math.inf)
    assert look(shard, due - 0.1, ANN) is (rank == 0)
    # Also where the clock went past it since the last look.
    assert shard.next_due() == (due if rank else math.inf)
    assert look(shard, due, ANN)
    assert shard.next_due() == math.inf


def test_the_wait_begins_anew_when_a_bot_was_there_or_the_room_was_empty() -> None:
    shard = shard_of("r", 1)
    look(shard, 0.0, ANN)
    assert not look(shard, 11.0)
    assert not look(shard, 12.0, BOB)
    assert not look(shard, 21.9, BOB)
    assert look(shard, 22.0, BOB)
    assert not look(shard, 22.0, BOB, bots=("b",))
    assert shard.next_due() == math.inf


def test_a_bot_that_left_in_order_is_not_replaced_while_its_people_stay() -> None:
    shard = shard_of("r", 1)
    look(shard, 0.0, ANN, bots=("b",))
    for now in (1.0, 100.0):
        assert not look(shard, now, ANN)
        assert not look(shard, now, ANN, BOB)
    assert shard.next_due() == math.inf
    look(shard, 101.0, BOB)
    assert look(shard, 111.0, BOB)


def test_a_bot_that_is_lost_is_replaced_and_deleted() -> None:
    shard = shard_of("r", 1)
    look(shard, 0.0, ANN, bots=("b",))
    assert not look(shard, 1.0, ANN, lost="b")
    assert shard.lost_bots("r") == ("b",)
    assert look(shard, 11.0, ANN, lost="b")
    # It came back before anybody stepped in.
    look(shard, 11.0, ANN, bots=("b",))
    assert shard.lost_bots("r") == ()


def test_agents_that_never_spoke_are_nobody_who_is_lost() -> None:
    shard = shard_of("r", 1)
    look(shard, 0.0, ANN, bots=("b",), lost="somebody's")
    assert not look(shard, 100.0, ANN, lost="somebody's")
    assert shard.lost_bots("r") == ()


def test_who_was_there_before_the_process_is_left_to_their_own_shard() -> None:
    names = [str(index) for index in range(COUNT)]
    for index in range(COUNT):
        shard = ShardRooms(index, COUNT, TAKEOVER)
        mine = rank_of(str(index), "r", names) == 0
        assert look(shard, 0.0, ANN) is mine
        assert look(shard, 100.0, ANN) is mine
        look(shard, 100.0, BOB)
        assert look(shard, 120.0, BOB)


def test_rooms_that_are_gone_are_forgotten() -> None:
    shard = shard_of("r", 1)
    look(shard, 0.0, ANN)
    shard.looked({}, 1.0)
    assert not look(shard, 11.0, ANN)
    shard.looked({}, 12.0)
    assert shard.left_to_others(12.0) == set()


def test_shards_that_never_take_over_leave_rooms_to_their_own() -> None:
    taken = 0
    for index in range(COUNT):
        shard = ShardRooms(index, COUNT, math.inf)
        shard.looked({}, 0.0)
        look(shard, 0.0, ANN)
        taken += look(shard, 1e9, ANN)
        assert shard.next_due() == math.inf
    assert taken == 1


@pytest.mark.parametrize(
    ("index", "number"), [(0, 0), ("1", 1), ("fishjam-agents-2", 2), ("a-0-1", 1), ("-0", 0)]
)
def test_the_number_of_a_shard_is_that_at_the_end_of_its_name(index: int | str, number: int) -> None:
    assert ShardSettings(index, 3).number == number
