"""Decision which calls to start and which to end, from the rooms and the calls as they are; pure.

Nothing is remembered between two decisions but the calls themselves, so that it does not matter which
notifications came, in which order, or how often: the same rooms and calls give the same actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fishjam_agents.worker.call_state import CallPhase, CallState
from fishjam_agents.worker.rendezvous import assigned_to
from fishjam_agents.worker.room_rules import RoomRule, select_bot
from fishjam_agents.worker.room_snapshot import RoomSnapshot


@dataclass(frozen=True, slots=True)
class WorkerView:
    """Knowledge on which a decision is made.

    Attributes:
        rooms: The rooms by their id, the oldest first.
        rules: Which rooms get which bot.
        now: Loop time.
        accepts: False while no new room may be taken: the program drains, or is over a limit.
        restarts: False while not even a crashed call may start again: the program drains.
        capacity: Calls that may run at once.
        members: The processes that share the rooms; empty where there is one.
        member: Which of them this is.
        claimed: Rooms that are left to others now: somebody holds their claim, or another shard serves them.
        full: Bots that can begin no call, since a limit of their vendor is reached.
        abandoned: Rooms whose process is gone and that nobody has taken over. Their calls are no new ones:
            `accepts` does not matter.
    """

    rooms: Mapping[str, RoomSnapshot]
    rules: Sequence[RoomRule] = ()
    now: float = 0.0
    accepts: bool = True
    restarts: bool = True
    capacity: float = math.inf
    members: Sequence[str] = ()
    member: str = ""
    claimed: Set[str] = frozenset()
    full: Set[str] = frozenset()
    abandoned: Set[str] = frozenset()

    def is_assigned(self, room_id: str) -> bool:
        """Return whether this process serves a room."""
        return not self.members or assigned_to(room_id, self.members) == self.member


@dataclass(frozen=True, slots=True)
class StartCall:
    """A bot joins a room.

    Attributes:
        room_id: The room.
        bot: The kind of bot.
    """

    room_id: str
    bot: str


@dataclass(frozen=True, slots=True)
class StopCall:
    """A bot leaves its room.

    Attributes:
        room_id: The room.
        reason: `other_bot`: another bot with a lower id is there.
    """

    room_id: str
    reason: Literal["other_bot"]


@dataclass(frozen=True, slots=True)
class ForgetCall:
    """Order to forget a room's call.

    Attributes:
        room_id: The room.
    """

    room_id: str


Action: TypeAlias = StartCall | StopCall | ForgetCall


def reconcile(view: WorkerView, calls: Mapping[str, CallState]) -> list[Action]:
    """Decide what to do now.

    A room's bot comes with the first person and stays while its call goes on; people who leave end the
    call by `limits.empty_room`. A call that is over, or parked, is remembered until those who were there have
    gone, so that nobody is greeted twice.

    Args:
        view: The rooms and what else is known.
        calls: The calls of this process, by room.
    """
    actions: list[Action] = []
    running = sum(call.phase is CallPhase.RUNNING for call in calls.values())
    for room_id, call in calls.items():
        room = view.rooms.get(room_id)
        if call.phase is CallPhase.RUNNING:
            if room is not None and _loses_tie(call, room):
                actions.append(StopCall(room_id, "other_bot"))
        elif room is None or not _is_remembered(call, room):
            actions.append(ForgetCall(room_id))
        elif _is_due(call, room, view) and running < view.capacity:
            actions.append(StartCall(room_id, call.bot))
            running += 1
    for room in view.rooms.values():
        if not view.accepts and not (view.restarts and room.id in view.abandoned):
            continue
        if room.id in calls or room.id in view.claimed:
            continue
        if not room.people or room.bots or running >= view.capacity or not view.is_assigned(room.id):
            continue
        if (wanted := select_bot(view.rules, room)) is not None and wanted not in view.full:
            actions.append(StartCall(room.id, wanted))
            running += 1
    return actions


def _is_remembered(call: CallState, room: RoomSnapshot) -> bool:
    """Return whether a call that does not run still matters to somebody in its room."""
    if call.phase is CallPhase.RESTARTING:
        return call.requested or bool(room.people)
    return any(person.id in call.people for person in room.people)


def _is_due(call: CallState, room: RoomSnapshot, view: WorkerView) -> bool:
    """Return whether a crashed call is to start again. Its room is no new one: `accepts` does not matter."""
    restarting = call.phase is CallPhase.RESTARTING
    due = view.now >= call.not_before and call.bot not in view.full
    return restarting and view.restarts and due and not room.bots


def _loses_tie(call: CallState, room: RoomSnapshot) -> bool:
    """Of several bots in a room the one with the lowest id stays; each sees the same ids."""
    return call.agent_id in room.bots and min(room.bots) != call.agent_id
