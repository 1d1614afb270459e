"""Decisions of the watcher from the rooms, the reports and the living; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from fishjam_agents.worker.call_state import CallPhase, CallState
from fishjam_agents.worker.reconcile import ForgetCall, StartCall, WorkerView, reconcile
from fishjam_agents.worker.room_rules import RoomRule
from fishjam_agents.worker.room_snapshot import RoomSnapshot
from fishjam_agents_ray.reports import LedgerView, LeftCalls, Report, ReportedCall


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision: what to do now.

    Attributes:
        start: Calls that rules ask for.
        begin_again: Calls of the API whose replica is gone or lets go of them, each with its request.
        left: What is left of replicas that are gone, and is to be kept.
    """

    start: Sequence[StartCall] = ()
    begin_again: Sequence[ReportedCall] = ()
    left: LeftCalls = field(default_factory=LeftCalls)


def dead_replicas(view: LedgerView, living: Set[str]) -> list[str]:
    """Return the replicas that have reported and that Ray has declared dead."""
    return [replica for replica in view.reports if replica not in living]


def left_by(dead: Sequence[str], view: LedgerView) -> LeftCalls:
    """Return what is left of dead replicas, and of those before them."""
    over, requested = dict(view.left.over), dict(view.left.requested)
    for replica in dead:
        for call in view.reports[replica].calls:
            if not call.holds_room and not call.moves:
                over[call.room] = call
            elif call.request is not None:
                requested[call.room] = call
    return LeftCalls(over, requested)


def rule(
    rooms: Mapping[str, RoomSnapshot],
    rules: Sequence[RoomRule],
    view: LedgerView,
    sent: Set[str],
    deleted: Set[str] = frozenset(),
) -> Ruling:
    """Decide what to begin. All replicas that have reported are alive.

    Args:
        rooms: The rooms as they were looked up last.
        rules: Which rooms get which bot.
        view: What the ledger knows.
        sent: Rooms for which a call was just asked for.
        deleted: Agents that were deleted, and that the rooms may still show.
    """
    calls, requested = _calls(view)
    calls |= {room: CallState(room, "") for room in sent}
    running = sum(call.phase is CallPhase.RUNNING for call in calls.values())
    capacity = running - len(sent) + sum(report.free for report in view.reports.values())
    again = [call for room, call in requested.items() if room not in calls or not _runs(calls[room])]
    again = again[: max(0, capacity - running)]
    calls |= {call.room: CallState(call.room, call.bot) for call in again}
    seen = {room.id: _without(room, deleted) for room in rooms.values()}
    actions = reconcile(WorkerView(seen, rules, capacity=capacity), calls)
    # A living replica forgets its own calls.
    forgotten = {action.room_id for action in actions if isinstance(action, ForgetCall)}
    over = {
        room: call
        for room, call in view.left.over.items()
        if room not in forgotten and not _runs(calls.get(room))
    }
    waiting = {room: call for room, call in view.left.requested.items() if not _is_held(view, room)}
    return Ruling(
        [action for action in actions if isinstance(action, StartCall)], again, LeftCalls(over, waiting)
    )


def _calls(view: LedgerView) -> tuple[dict[str, CallState], dict[str, ReportedCall]]:
    """The calls as the reconciler takes them, and those of the API that nobody has."""
    calls = {call.room: _state(call) for call in view.left.over.values()}
    requested = dict(view.left.requested)
    for report in view.reports.values():
        for call in report.calls:
            if call.holds_room:
                # A replica decides itself when one that crashed starts again.
                calls[call.room] = CallState(call.room, call.bot)
            elif not call.moves:
                if not _runs(calls.get(call.room)):
                    calls[call.room] = _state(call)
            elif call.request is not None:
                requested[call.room] = call
    return calls, requested


def _state(call: ReportedCall) -> CallState:
    return CallState(call.room, call.bot, call.phase, people=call.people)


def _runs(call: CallState | None) -> bool:
    return call is not None and call.phase is CallPhase.RUNNING


def _is_held(view: LedgerView, room: str) -> bool:
    return any(call.room == room and call.holds_room for report in _reports(view) for call in report.calls)


def _reports(view: LedgerView) -> Sequence[Report]:
    return tuple(view.reports.values())


def _without(room: RoomSnapshot, deleted: Set[str]) -> RoomSnapshot:
    if deleted.isdisjoint(room.bots):
        return room
    return replace(room, bots=tuple(bot for bot in room.bots if bot not in deleted))
