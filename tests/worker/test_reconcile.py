"""Which calls start and end, as tables; and that any order of notifications comes to the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import BackendError, ConfigError
from fishjam_agents.fishjam import AgentAuthError, SessionLostError
from fishjam_agents.fishjam.models import Room
from fishjam_agents.fishjam.reconnect import Reconnected
from fishjam_agents.protocol.generated import notifications as n
from fishjam_agents.worker import CallOutcome, Person, RoomRule, RoomSnapshot
from fishjam_agents.worker.call_state import MOST_FAILURES, STEADY_CALL, CallPhase, CallState, after_end
from fishjam_agents.worker.claims import ClaimStoreError
from fishjam_agents.worker.reconcile import Action, ForgetCall, StartCall, StopCall, WorkerView, reconcile
from fishjam_agents.worker.rendezvous import assigned_to
from fishjam_agents.worker.rooms_view import MOST_LOOKUPS, ROOMS_PER_LOOKUP, RoomsView, snapshot

ANN = Person("ann")
EVERY = (RoomRule("poet", every=True),)


def rooms(*snapshots: RoomSnapshot) -> dict[str, RoomSnapshot]:
    return {room.id: room for room in snapshots}


def room(id: str, *bots: str, people: tuple[Person, ...] = (ANN,)) -> RoomSnapshot:
    return RoomSnapshot(id, people=people, bots=bots)


def call(id: str, phase: CallPhase = CallPhase.RUNNING, **changes: Any) -> dict[str, CallState]:
    return {id: CallState(id, "poet", phase, **{"people": frozenset({"ann"}), **changes})}


R, P, E = CallPhase.RESTARTING, CallPhase.PARKED, CallPhase.ENDED

TABLE: dict[str, tuple[WorkerView, dict[str, CallState], list[Action]]] = {
    "the first person brings the bot": (
        WorkerView(rooms(room("r")), EVERY),
        {},
        [StartCall("r", "poet")],
    ),
    "an empty room gets none": (WorkerView(rooms(room("r", people=())), EVERY), {}, []),
    "a room that no rule names gets none": (WorkerView(rooms(room("r"))), {}, []),
    "a bot whose vendor is full begins no call, and others do": (
        WorkerView(
            rooms(room("r"), room("s")),
            (RoomRule("poet", id=("r",)), RoomRule("clerk", every=True)),
            full={"poet"},
        ),
        {},
        [StartCall("s", "clerk")],
    ),
    "a call whose vendor is full waits to start again": (
        WorkerView(rooms(room("r")), EVERY, now=5.0, full={"poet"}),
        call("r", R, not_before=1.0),
        [],
    ),
    "a room that has a bot gets no second one": (WorkerView(rooms(room("r", "b1")), EVERY), {}, []),
    "a call that runs goes on": (WorkerView(rooms(room("r", "me")), EVERY), call("r", agent_id="me"), []),
    "a call goes on while its people are away for a moment": (
        WorkerView(rooms(room("r", "me", people=())), EVERY),
        call("r", agent_id="me"),
        [],
    ),
    "a call goes on in a room that is not listed yet": (WorkerView({}, EVERY), call("r", agent_id="me"), []),
    "of two bots the higher id leaves": (
        WorkerView(rooms(room("r", "a", "b")), EVERY),
        call("r", agent_id="b"),
        [StopCall("r", "other_bot")],
    ),
    "of two bots the lower id stays": (
        WorkerView(rooms(room("r", "a", "b")), EVERY),
        call("r", agent_id="a"),
        [],
    ),
    "a bot that is not seen in the room yet does not leave": (
        WorkerView(rooms(room("r", "a")), EVERY),
        call("r", agent_id="b"),
        [],
    ),
    "a crashed call waits": (WorkerView(rooms(room("r")), EVERY, now=4), call("r", R, not_before=5), []),
    "a crashed call starts again": (
        WorkerView(rooms(room("r")), EVERY, now=5),
        call("r", R, not_before=5),
        [StartCall("r", "poet")],
    ),
    "a crashed call starts again over a limit of new rooms": (
        WorkerView(rooms(room("r")), EVERY, now=5, accepts=False),
        call("r", R, not_before=5),
        [StartCall("r", "poet")],
    ),
    "a crashed call does not start again while the program drains": (
        WorkerView(rooms(room("r")), EVERY, now=5, accepts=False, restarts=False),
        call("r", R, not_before=5),
        [],
    ),
    "a crashed call is forgotten when its people go": (
        WorkerView(rooms(room("r", people=())), EVERY),
        call("r", R, not_before=5),
        [ForgetCall("r")],
    ),
    "a crashed call that was asked for waits for nobody": (
        WorkerView(rooms(room("r", people=())), EVERY, now=5),
        call("r", R, not_before=5, requested=True),
        [StartCall("r", "poet")],
    ),
    "a parked call stays parked": (WorkerView(rooms(room("r")), EVERY, now=math.inf), call("r", P), []),
    "nobody is greeted twice": (WorkerView(rooms(room("r")), EVERY), call("r", E), []),
    "what is over is forgotten when its people go": (
        WorkerView(rooms(room("r", people=())), EVERY),
        call("r", E),
        [ForgetCall("r")],
    ),
    "what is over is forgotten when others have come": (
        WorkerView(rooms(room("r", people=(Person("bob"),))), EVERY),
        call("r", E),
        [ForgetCall("r")],
    ),
    "what is over is remembered while one of its people stays": (
        WorkerView(rooms(room("r", people=(Person("bob"), ANN))), EVERY),
        call("r", E),
        [],
    ),
    "what is over is forgotten with its room": (WorkerView({}, EVERY), call("r", E), [ForgetCall("r")]),
    "no new rooms over a limit": (WorkerView(rooms(room("r")), EVERY, accepts=False), {}, []),
    "over a limit of load rooms of a process that is gone are taken over": (
        WorkerView(rooms(room("r"), room("s")), EVERY, accepts=False, abandoned={"s"}),
        {},
        [StartCall("s", "poet")],
    ),
    "they are no more than there may be": (
        WorkerView(rooms(room("r"), room("s")), EVERY, accepts=False, abandoned={"s"}, capacity=1),
        call("r", agent_id="a"),
        [],
    ),
    "while the program drains they are left to others": (
        WorkerView(rooms(room("s")), EVERY, accepts=False, restarts=False, abandoned={"s"}),
        {},
        [],
    ),
    "as many calls as there may be": (
        WorkerView(rooms(room("r"), room("s"), room("t")), EVERY, capacity=2),
        call("r", agent_id="a"),
        [StartCall("s", "poet")],
    ),
    "a call that is over takes no place": (
        WorkerView(rooms(room("r"), room("s")), EVERY, capacity=1),
        call("r", E),
        [StartCall("s", "poet")],
    ),
    "a room that somebody holds is let be": (
        WorkerView(rooms(room("r")), EVERY, claimed=frozenset({"r"})),
        {},
        [],
    ),
}


@pytest.mark.parametrize(("view", "calls", "actions"), TABLE.values(), ids=TABLE.keys())
def test_the_decision(view: WorkerView, calls: dict[str, CallState], actions: list[Action]) -> None:
    assert reconcile(view, calls) == actions


def test_each_room_is_served_by_one_of_the_processes() -> None:
    members = ("a", "b", "c")
    many = rooms(*(room(f"r{index}") for index in range(60)))
    started = [
        action.room_id
        for member in members
        for action in reconcile(WorkerView(many, EVERY, members=members, member=member), {})
        if isinstance(action, StartCall)
    ]
    assert sorted(started) == sorted(many)


def test_when_a_process_goes_only_its_own_rooms_move() -> None:
    ids = [f"r{index}" for index in range(300)]
    before = {id: assigned_to(id, ("a", "b", "c")) for id in ids}
    after = {id: assigned_to(id, ("c", "a")) for id in ids}
    assert all(after[id] == before[id] for id in ids if before[id] != "b")
    assert all(60 < list(before.values()).count(member) < 140 for member in "abc")


# --- what becomes of a call ---


def ended(state: CallState, outcome: CallOutcome | Exception, lasted: float, now: float) -> CallState:
    after = after_end(state, outcome, lasted, now)
    assert after is not None
    return after


def test_a_crashed_call_waits_longer_each_time_and_is_parked_in_the_end() -> None:
    state, waits = CallState("r", "poet"), []
    for _ in range(MOST_FAILURES):
        state = ended(state, RuntimeError("boom"), 1.0, now=100.0)
        waits.append(state.not_before - 100)
    assert state.phase is P
    assert state.message == "boom"
    assert all(2 ** (index - 1) <= wait <= 2**index for index, wait in enumerate(waits[:-1]))


def test_a_crash_after_a_long_call_is_the_first_one_again() -> None:
    state = ended(CallState("r", "poet", failures=4), RuntimeError(), STEADY_CALL, now=0.0)
    assert (state.phase, state.failures, state.message) == (R, 1, "RuntimeError")


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (ConfigError("the file is gone"), P),
        (BackendError("its key was refused", failure="auth"), P),
        (BackendError("no answer", retryable=True), R),
        (BackendError("something odd"), R),
    ],
)
def test_what_only_the_operator_can_mend_is_parked_at_once(error: Exception, phase: CallPhase) -> None:
    assert ended(CallState("r", "poet"), error, 1.0, now=0.0).phase is phase


@pytest.mark.parametrize("outcome", [one for one in CallOutcome if one is not CallOutcome.EMPTY_ROOM])
def test_a_call_that_ended_is_over(outcome: CallOutcome) -> None:
    state = after_end(CallState("r", "poet", agent_id="a", failures=3), outcome, 1.0, 0.0, ["ann"])
    assert state is not None
    assert state.people == {"ann"}
    assert (state.phase, state.agent_id, state.failures) == (E, None, 0)


def test_nothing_is_remembered_of_a_call_whose_people_had_gone() -> None:
    # Whoever comes while its bot leaves gets one.
    assert after_end(CallState("r", "poet", agent_id="a"), CallOutcome.EMPTY_ROOM, 1.0, now=0.0) is None


# --- any order of notifications ---


@dataclass
class Fishjam:
    """Rooms of a server: who is in them. What changes is told later, if at all."""

    rooms: dict[str, set[str]] = field(default_factory=dict)
    untold: list[Any] = field(default_factory=list)

    def change(self, what: str, room: str, who: str) -> None:
        if what == "create":
            self.rooms.setdefault(room, set())
            self.untold.append(n.ServerMessageRoomCreated(room))
        elif what == "delete" and room in self.rooms:
            del self.rooms[room]
            self.untold.append(n.ServerMessageRoomDeleted(room))
        elif what == "join" and room in self.rooms:
            self.rooms[room].add(who)
            self.untold.append(n.ServerMessagePeerConnected(room, who))
        elif what == "leave" and room in self.rooms:
            self.rooms[room].discard(who)
            self.untold.append(n.ServerMessagePeerDisconnected(room, who))

    def room(self, id: str) -> Room | None:
        if id not in self.rooms:
            return None
        return Room.from_dict(
            {
                "id": id,
                "config": {"roomType": "conference"},
                "peers": [
                    {
                        "id": peer,
                        "type": "webrtc",
                        "status": "connected",
                        "metadata": None,
                        "subscribeMode": "auto",
                        "subscriptions": {"peers": [], "tracks": []},
                        "tracks": [],
                    }
                    for peer in sorted(self.rooms[id])
                ],
            }
        )


class Looker:
    """A worker without I/O: it looks and decides, and calls start and end at once."""

    def __init__(self) -> None:
        self.view = RoomsView()
        self.calls: dict[str, CallState] = {}

    def look(self, fishjam: Fishjam) -> None:
        lookup = self.view.next_lookup()
        if lookup.rooms is None:
            self.view.listed([snapshot(room) for id in fishjam.rooms if (room := fishjam.room(id))])
        for id in lookup.rooms or ():
            self.view.looked_up(id, fishjam.room(id))
        # What `limits.empty_room` does, in a call that looks for itself.
        for id in [id for id in self.calls if not fishjam.rooms.get(id)]:
            del self.calls[id]
        # An end makes the worker look once more.
        for _ in range(2):
            for action in reconcile(WorkerView(self.view.rooms, EVERY), self.calls):
                match action:
                    case StartCall():
                        self.calls[action.room_id] = CallState(action.room_id, action.bot)
                    case ForgetCall():
                        del self.calls[action.room_id]
                    case StopCall():
                        raise AssertionError(action)
                    case _:
                        assert_never(action)


NAMES = st.sampled_from([f"r{index}" for index in range(MOST_LOOKUPS + 3)])
CHANGES = st.tuples(
    st.sampled_from(["create", "join", "join", "leave", "delete"]), NAMES, st.sampled_from(["ann", "bob"])
)
STEPS = st.lists(st.one_of(CHANGES, st.just("look"), st.just("tell")), max_size=60)


@given(STEPS, st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_notifications_comes_to_the_same(steps: list[Any], chance: Any, lost: bool) -> None:
    fishjam, looker = Fishjam(), Looker()
    for step in steps:
        if step == "look":
            looker.look(fishjam)
        elif step == "tell":
            chance.shuffle(fishjam.untold)
            for event in fishjam.untold[: chance.randint(0, len(fishjam.untold))]:
                looker.view.notified(event)
                if chance.random() < 0.7:
                    fishjam.untold.remove(event)
        else:
            fishjam.change(*step)
    chance.shuffle(fishjam.untold)
    for event in [Reconnected(1.0, 1)] if lost else fishjam.untold:
        looker.view.notified(event)
    looker.look(fishjam)
    assert set(looker.view.rooms) == set(fishjam.rooms)
    served = {id for id, call in looker.calls.items() if call.phase is CallPhase.RUNNING}
    assert served == {id for id, people in fishjam.rooms.items() if people}
    assert not looker.view.is_stale


def test_what_comes_often_and_changes_nothing_is_not_looked_up() -> None:
    view = RoomsView()
    view.next_lookup()
    view.rooms = rooms(room("served", "b1"), room("waiting"))
    metadata, track = n.ServerMessagePeerMetadataUpdated, n.ServerMessageTrackAdded
    assert not view.notified(metadata("served", "ann", "{}"))
    assert not view.notified(track(room_id="waiting", peer_id="ann"))
    assert not view.is_stale
    # Metadata may bring the waiting room its bot, and an unknown track may be a second bot's.
    assert view.notified(metadata("waiting", "ann", "{}"))
    assert view.notified(track(room_id="served", peer_id="b2"))
    assert view.next_lookup().rooms == ("waiting", "served")


@pytest.mark.parametrize(
    ("outcome", "is_blamed"),
    [
        (SessionLostError("gone", 1006), False),
        (AgentAuthError("invalid token"), False),
        (BackendError("the model is away"), True),
        (ValueError("a bot's bug"), True),
    ],
)
def test_a_call_is_not_blamed_for_a_server_that_was_away(outcome: Exception, is_blamed: bool) -> None:
    state = CallState("r", "poet", agent_id="a", failures=MOST_FAILURES - 1)
    after = after_end(state, outcome, 1.0, 7.0, ["ann"], server_was_away=True)
    assert after is not None
    assert after.phase is (P if is_blamed else R)
    assert after.agent_id is None
    if not is_blamed:
        assert (after.not_before, after.failures) == (7.0, MOST_FAILURES - 1)


def test_of_many_rooms_more_are_looked_up_one_by_one_before_all_are_listed() -> None:
    view = RoomsView()
    for count, most in ((0, MOST_LOOKUPS), (1000, 1000 // ROOMS_PER_LOOKUP)):
        view.listed([room(f"r{index}") for index in range(count)])
        for changed in (most, most + 1):
            view.next_lookup()
            for index in range(changed):
                view.touch(f"r{index}")
            looked_up = view.next_lookup().rooms
            assert (None if looked_up is None else len(looked_up)) == (most if changed == most else None)


def test_a_call_that_cannot_ask_for_its_claim_is_not_to_blame() -> None:
    state = CallState("r", "poet", failures=MOST_FAILURES - 1)
    after = after_end(state, ClaimStoreError("the store is away"), 1.0, 7.0, ["ann"])
    assert after is not None
    assert (after.phase, after.failures) == (CallPhase.RESTARTING, MOST_FAILURES - 1)
    assert after.not_before > 7.0
