"""Calls of a worker by their room, and what becomes of those that end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.worker.call_outcome import CallOutcome
from fishjam_agents.worker.call_state import CallPhase, after_end
from fishjam_agents.worker.claims import ClaimLostError, Claims, HeldElsewhere
from fishjam_agents.worker.room_call import ENDED_CALL_DEADLINE, RoomCall
from fishjam_agents.worker.room_snapshot import RoomSnapshot

logger = logging.getLogger(__name__)


class RoomCalls:
    """Calls by their room, with those that are over while their people are still there.

    Args:
        claims: Who serves which room; None where nobody else can.
        rooms: Returns the rooms as they are known now.

    Attributes:
        by_room: The calls.
        counters: Totals since the start, by name.
        finished: Called with each call when it is over for good.
        held_elsewhere: Rooms that another process serves, each with the loop time to ask again at.
        idle: Set while no call runs.
    """

    def __init__(self, claims: Claims | None, rooms: Callable[[], Mapping[str, RoomSnapshot]]) -> None:
        self.by_room: dict[str, RoomCall] = {}
        self.counters: Counter[str] = Counter()
        self.finished: list[Callable[[RoomCall], None]] = []
        self.held_elsewhere: dict[str, float] = {}
        self.idle = asyncio.Event()
        self._claims = claims
        self._rooms = rooms
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """Number of calls whose bot is in its room or on its way."""
        return sum(call.is_running for call in self.by_room.values())

    def run(self, call: RoomCall, serve: Callable[[RoomCall], Coroutine[Any, Any, None]]) -> None:
        """Run a call in a task, which `serve` makes of it.

        Args:
            call: The call, known by its room.
            serve: Serves it until its end, and hands its outcome to `take_end`.
        """
        call.started = asyncio.get_running_loop().time()
        call.task = self._spawn(serve(call), f"call in room {call.state.room_id}")
        self.idle.clear()
        self.counters["calls_started"] += 1

    def note_idle(self) -> None:
        """Set `idle` if no call runs."""
        if not self.running:
            self.idle.set()

    def end(self, call: RoomCall) -> None:
        """End a call for good: its bot leaves, and does not come back while people stay."""
        if call.is_running:
            call.stop("api")
        elif call.state.phase is CallPhase.RESTARTING:
            people = frozenset(self._people(call.state.room_id))
            call.state = replace(call.state, phase=CallPhase.ENDED, people=people)
            self._finish(call, CallOutcome.STOPPED.value)

    def take_end(
        self,
        call: RoomCall,
        outcome: CallOutcome | HeldElsewhere | Exception,
        *,
        server_was_away: bool = False,
    ) -> None:
        """Take what a call that ran came to: it is over, starts again later, or is not ours.

        Args:
            call: The call.
            outcome: Why it ended.
            server_was_away: Whether the server was away since it began.
        """
        now = asyncio.get_running_loop().time()
        room_id = call.state.room_id
        if isinstance(outcome, HeldElsewhere):
            self.held_elsewhere[room_id] = now + outcome.seconds
            self.counters["calls_held_elsewhere"] += 1
            del self.by_room[room_id]
            if call.is_told:
                self._finish(call, "another process serves the room")
            return
        if isinstance(outcome, ClaimLostError) or call.stopping in ("other_bot", "claim_lost"):
            call.reason = "another bot serves the room"
            self.forget(room_id)
            return
        state = after_end(
            call.state,
            outcome,
            now - call.started,
            now,
            self._people(room_id),
            server_was_away=server_was_away,
        )
        if isinstance(outcome, CallOutcome):
            self.counters["calls_ended"] += 1
            logger.info("the call is over: %s", outcome.value, extra=call.log_fields)
            self._finish(call, outcome.value)
        if state is None:
            self.forget(room_id)
            return
        call.state = state
        if not isinstance(outcome, CallOutcome):
            self._failed(call, outcome, now)

    def _failed(self, call: RoomCall, error: Exception, now: float) -> None:
        self.counters["calls_crashed"] += 1
        state, fields = call.state, call.log_fields
        trace = None if isinstance(error, FishjamAgentsError) else error
        if state.phase is CallPhase.PARKED:
            self.counters["calls_parked"] += 1
            logger.error(
                "the call failed %s and is not started again while its people stay: %s",
                "once" if state.failures == 1 else f"{state.failures} times in a row",
                state.message,
                extra=fields,
                exc_info=trace,
            )
            self._finish(call, state.message)
        else:
            logger.warning(
                "the call failed and starts again in %.1f s: %s",
                state.not_before - now,
                state.message,
                extra=fields,
                exc_info=trace,
            )

    def forget(self, room_id: str) -> None:
        """Forget the call of a room, and give its claim up."""
        call = self.by_room.pop(room_id, None)
        if call is not None and call.ended is None:
            gone = room_id not in self._rooms()
            self._finish(call, call.reason or ("its room is gone" if gone else "nobody was left in the room"))
        if self._claims is not None:
            self._spawn(self._release(self._claims, room_id), f"release {room_id}")

    def unpark(self) -> None:
        """Let calls by rules start again that are parked because a vendor refused their key.

        Who asked for a call by the API was told that it is over.
        """
        now = asyncio.get_running_loop().time()
        for call in self.by_room.values():
            state = call.state
            if state.phase is CallPhase.PARKED and state.failure == "auth" and not state.requested:
                call.state = replace(
                    state, phase=CallPhase.RESTARTING, failures=0, not_before=now, message=None, failure=None
                )
                call.ended = call.reason = None

    def claim_lost(self, call: RoomCall) -> None:
        """Let a call go, whose room another process has taken over."""
        if call.is_running:
            call.stop("claim_lost")
        else:
            self.forget(call.state.room_id)

    async def leave_all(self) -> None:
        """Let all bots leave; what does not end in time is cut off."""
        for call in self.by_room.values():
            call.stop("worker_stopped")
        while self._tasks:
            done, late = await asyncio.wait(self._tasks, timeout=ENDED_CALL_DEADLINE)
            if late and not done:
                for task in late:
                    logger.error("%s does not end and is cut off", task.get_name())
                    task.cancel()
                await asyncio.wait(late, timeout=1.0)
                return

    def _people(self, room_id: str) -> Sequence[str]:
        room = self._rooms().get(room_id)
        return () if room is None else [person.id for person in room.people]

    def _finish(self, call: RoomCall, reason: str | None) -> None:
        call.ended, call.reason = time.time(), reason
        for finished in self.finished:
            finished(call)

    async def _release(self, claims: Claims, room_id: str) -> None:
        try:
            await claims.release(room_id)
        except FishjamAgentsError as error:
            logger.warning("%s", error, extra={"room": room_id})

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
