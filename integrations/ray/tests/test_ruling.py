"""Decisions of the watcher, as a pure function of rooms and reports."""

from __future__ import annotations

from collections.abc import Sequence

from fishjam_agents_ray.reports import LedgerView, LeftCalls, Report, ReportedCall
from fishjam_agents_ray.ruling import Ruling, dead_replicas, left_by, rule

from fishjam_agents.worker import Person, RoomRule, RoomSnapshot
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_state import CallPhase

EVERY = (RoomRule("bot", every=True),)
ANN = (Person("ann"),)


def room(id: str, *bots: str, people: tuple[Person, ...] = ANN) -> RoomSnapshot:
    return RoomSnapshot(id, people=people, bots=bots)


def report(*calls: ReportedCall, free: int = 10) -> Report:
    return Report(1, 0, calls, free)


def view(left: LeftCalls = LeftCalls(), **reports: Report) -> LedgerView:  # noqa: B008 - frozen
    return LedgerView("watcher", 0.0, True, False, "serve", reports, {}, {}, left)


def ruled(
    rooms: Sequence[RoomSnapshot], known: LedgerView, sent: Sequence[str] = (), **more: set[str]
) -> Ruling:
    return rule({room.id: room for room in rooms}, EVERY, known, set(sent), **more)


def started(ruling: Ruling) -> list[str]:
    return [start.room_id for start in ruling.start]


def test_a_room_with_people_gets_a_bot_and_no_second_one() -> None:
    known = view(a=report(ReportedCall("one", "bot", agent="x")))
    rooms = [room("one", "x"), room("two"), room("empty", people=()), room("just sent"), room("foreign", "y")]
    assert started(ruled(rooms, known, ["just sent"])) == ["two"]


def test_a_call_that_starts_again_is_its_replicas_own_affair() -> None:
    known = view(a=report(ReportedCall("one", "bot", CallPhase.RESTARTING)))
    assert started(ruled([room("one")], known)) == []


def test_no_more_calls_are_sent_than_replicas_have_room_for() -> None:
    rooms = [room(str(number)) for number in range(9)]
    assert len(started(ruled(rooms, view(a=report(free=2), b=report(free=1))))) == 3
    assert len(started(ruled(rooms, view(a=report(free=3)), ["0", "1"]))) == 1
    assert started(ruled(rooms, view(a=report(free=0)))) == []
    assert started(ruled(rooms, view())) == []


def test_rooms_of_the_dead_are_free_and_their_deleted_agents_count_no_more() -> None:
    known = view(a=report(ReportedCall("one", "bot", agent="x")), b=report())
    assert dead_replicas(known, {"b"}) == ["a"]
    left = left_by(["a"], known)
    assert left == LeftCalls()
    after = view(left, b=report())
    # The server's last word is that the bot is there.
    assert started(ruled([room("one", "x")], after)) == []
    assert started(ruled([room("one", "x")], after, deleted={"x"})) == ["one"]


def test_nobody_is_greeted_twice_because_a_replica_died_after_the_farewell() -> None:
    over = ReportedCall("one", "bot", CallPhase.ENDED, people=frozenset({"ann"}))
    left = left_by(["a"], view(a=report(over), b=report()))
    assert left == LeftCalls(over={"one": over})
    ruling = ruled([room("one")], view(left, b=report()))
    assert (started(ruling), ruling.left) == ([], left)
    # Ann has gone, and Bob is there.
    ruling = ruled([room("one", people=(Person("bob"),))], view(left, b=report()))
    assert ruling.left == LeftCalls()
    assert started(ruled([room("one", people=(Person("bob"),))], view(b=report()))) == ["one"]


def test_a_call_of_the_api_begins_again_with_its_request_though_nobody_is_there() -> None:
    request = CallRequest("id", "one", "bot")
    left = left_by(["a"], view(a=report(ReportedCall("one", "bot", request=request)), b=report()))
    ruling = ruled([room("one", people=())], view(left, b=report()))
    assert [call.request for call in ruling.begin_again] == [request]
    assert ruling.left == left
    # It is sent, and then it is told of.
    assert ruled([], view(left, b=report()), ["one"]).begin_again == []
    ruling = ruled([], view(left, b=report(ReportedCall("one", "bot", request=request))))
    assert (ruling.begin_again, ruling.left) == ([], LeftCalls())


def test_a_call_that_its_replica_lets_go_of_goes_on_elsewhere() -> None:
    moving = ReportedCall("one", "bot", CallPhase.RUNNING, moves=True)
    assert started(ruled([room("one")], view(a=report(moving, free=0), b=report()))) == []
    moved = ReportedCall("one", "bot", CallPhase.ENDED, moves=True, people=frozenset({"ann"}))
    assert started(ruled([room("one")], view(a=report(moved, free=0), b=report()))) == ["one"]
    request = CallRequest("id", "one", "bot")
    asked = ReportedCall("one", "bot", CallPhase.ENDED, moves=True, request=request)
    ruling = ruled([room("one")], view(a=report(asked, free=0), b=report()))
    assert ([call.request for call in ruling.begin_again], started(ruling)) == ([request], [])


def test_a_room_whose_new_call_runs_is_not_held_back_by_the_memory_of_an_old_one() -> None:
    over = ReportedCall("one", "bot", CallPhase.ENDED, people=frozenset({"ann"}))
    known = view(LeftCalls(over={"one": over}), a=report(over), b=report(ReportedCall("one", "bot")))
    ruling = ruled([room("one", "x")], known)
    assert (started(ruling), ruling.left) == ([], LeftCalls())
