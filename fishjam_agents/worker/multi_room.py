"""One process that serves many rooms: looks at them, decides, starts calls."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from fishjam_agents.backends.port import Backend
from fishjam_agents.backends.vendors import LimitReachedError, Vendors
from fishjam_agents.backoff import Backoff
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, FishjamNotifier, Room
from fishjam_agents.fishjam.notifier import NotifierEvent
from fishjam_agents.journal.journal import CallJournal, Journals
from fishjam_agents.journal.store import CallPlace
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker.call_outcome import CallOutcome
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.call_settings import CallSettings, apply_settings
from fishjam_agents.worker.call_state import CallPhase, CallState
from fishjam_agents.worker.claim_keeper import ClaimKeeper
from fishjam_agents.worker.claims import Claims, HeldElsewhere
from fishjam_agents.worker.reconcile import ForgetCall, StartCall, StopCall, WorkerView, reconcile
from fishjam_agents.worker.room_call import RoomCall
from fishjam_agents.worker.room_calls import RoomCalls
from fishjam_agents.worker.room_rules import RoomRule
from fishjam_agents.worker.room_snapshot import RoomSnapshot
from fishjam_agents.worker.rooms_follower import RoomsFollower
from fishjam_agents.worker.settings import LimitSettings
from fishjam_agents.worker.shard_rooms import ShardRooms
from fishjam_agents.worker.vendor_places import VendorPlaces
from fishjam_agents.worker.worker import SharedConnections, check_token

logger = logging.getLogger(__name__)

LAST_WORDS = 10.0
"""Seconds that bots have for what they are saying, and a farewell, when the time to drain is over."""
RECONNECTS = Backoff(longest=1.0)
"""Delays before the notifier connects again: one connection, by which all calls know the server is back."""
PATIENCE = 1.0
"""Seconds that rooms of a process that is gone are left to others by one that is over a limit of load."""
EMPTY_ROOM = 15.0
"""Seconds that a bot stays in a room without people, where `limits.empty_room` says nothing."""


@dataclass(frozen=True, slots=True)
class Bots:
    """Bots and the rooms they are for; replaced as a whole when a configuration is read again.

    Attributes:
        rules: Which rooms get which bot. Each names one, and none is to make rooms any more.
        make: Makes a bot, by its name, for a room.
        backends: Backend that a bot has, by its name, for the limits of its vendor; a bot that is not there
            has none.
    """

    rules: Sequence[RoomRule]
    make: Mapping[str, Callable[[RoomSnapshot], AgentPipeline]]
    backends: Mapping[str, Backend] = field(default_factory=dict)


class MultiRoomWorker:
    """Serves rooms until it is drained.

    Args:
        bots: Which rooms get which bot.
        fishjam_id: A Fishjam id, or the URL of a Fishjam.
        management_token: Its management token.
        limits: Limits of each call.
        max_calls: Most calls at once, None for any number.
        claims: Who serves which room; None where nobody else can.
        overload: What the process is over the limit of, as a sentence; None while it is not.
        journals: Where calls are written down, so that they go on in another process; None nowhere.
        shard: The rooms of the machines that share them with this one; None where it serves all.
        told: Whether somebody else decides which calls begin, with `begin`: rules do nothing then, and only
            the rooms of its own calls are looked at.

    Attributes:
        bots: What calls are made from; a new value counts for new calls.
        calls: Calls by their room, with those that are over while their people are still there.
        counters: Totals since the start, by name.
        finished: Called with each call when it is over for good.
        looked: Called after each look at the rooms.
        reserved: Rooms that a call of the API is about to begin in, which rules leave alone.
        members: The processes that share the rooms; empty where there is one.
        member: Which of them this is.
    """

    def __init__(
        self,
        bots: Bots,
        *,
        fishjam_id: str,
        management_token: str,
        limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
        max_calls: int | None = None,
        claims: Claims | None = None,
        overload: Callable[[], str | None] = lambda: None,
        journals: Journals | None = None,
        shard: ShardRooms | None = None,
        told: bool = False,
    ) -> None:
        self.bots = bots
        self.members: tuple[str, ...] = ()
        self.member = ""
        self.reserved: set[str] = set()
        self.looked: list[Callable[[], None]] = []
        self._fishjam_id = fishjam_id
        self._management_token = management_token
        self._limits = limits if limits.empty_room is not None else replace(limits, empty_room=EMPTY_ROOM)
        self._capacity = math.inf if max_calls is None else max_calls
        self._claims = claims
        self._overload = overload
        self._journals = journals
        self._shard = shard
        self._told = told
        self._follower = RoomsFollower(self._decide, self._next_due, (lambda: self.calls) if told else None)
        self._places = VendorPlaces(lambda: self.bots.backends)
        self._calls = RoomCalls(claims, lambda: self.rooms)
        self.calls = self._calls.by_room
        self.counters = self._calls.counters
        self.finished = self._calls.finished
        # Rooms of processes that are gone, with the loop time from which on limits of load do not matter.
        self._abandoned: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self._draining = False
        self._shared: SharedConnections | None = None

    # --- what others ask ---

    @property
    def running(self) -> int:
        """Number of calls whose bot is in its room or on its way."""
        return self._calls.running

    @property
    def rooms(self) -> Mapping[str, RoomSnapshot]:
        """The rooms as of the last look."""
        return self._follower.view.rooms

    @property
    def looks(self) -> int:
        """Number of looks at the rooms."""
        return self._follower.looks

    def not_ready(self, *, again: bool = False) -> str | None:
        """The reason for which no new room is taken; None while rooms are.

        Args:
            again: Whether it is about a room that a process had which is gone: load is no reason then.
        """
        if self._draining:
            return "it is draining"
        if not self._follower.is_known:
            return "the rooms are not known yet"
        if self.running >= self._capacity:
            return f"it has {self.running} calls, and workers.max_calls is {self._capacity:g}"
        full = self._places.full_bots()
        if full and full.keys() >= self.bots.make.keys():
            return next(iter(full.values()))
        return None if again else self._overload()

    def full(self, bot: str, settings: CallSettings | None = None) -> str | None:
        """The limit of its vendor for which no further call of a bot can begin; None while one can."""
        return self._places.full(bot, settings)

    def unpark(self) -> None:
        """Start calls again whose key a vendor had refused: there may be another one."""
        self._calls.unpark()
        self.wake()

    def look_at(self, room: Room) -> None:
        """Take a room as it was looked up by somebody else."""
        self._follower.view.looked_up(room.id, room)

    def set_members(self, members: Iterable[str], hurry: bool = False) -> None:
        """Share the rooms with these processes from now on; calls that go on stay where they are.

        Args:
            members: Their names.
            hurry: Whether one of them has died, whose people wait for another bot.
        """
        self.members = tuple(members)
        self._calls.held_elsewhere.clear()
        if hurry:
            self._follower.hurry()
        else:
            self.wake()

    def notified(self, event: NotifierEvent) -> None:
        """Take what Fishjam tells, by whatever way, as a hint at which room to look."""
        self._follower.notified(event)

    def wake(self) -> None:
        """Look at once, or a second after the last look."""
        self._follower.wake()

    # --- running ---

    async def run(self, at_end: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serve rooms until `stop`.

        Args:
            at_end: Awaited when the bots have left, while `client` can still be used.

        Raises:
            ConfigError: The token is rejected.
            UnreachableError: The server cannot be reached at the start; later it is waited for.
            NotifierAuthError: The server does not take the token on the notification socket.
        """
        async with AsyncFishjamClient(self._fishjam_id, self._management_token) as client:
            await check_token(client)
            notifier = FishjamNotifier(
                self._fishjam_id, self._management_token, reconnect=True, backoff=RECONNECTS
            )
            notifier.subscribe(self._follower.notified)
            self._shared = SharedConnections(client, notifier)
            following = asyncio.create_task(notifier.connect(), name="notifier of the worker")
            looking = asyncio.create_task(self._follower.run(client, notifier), name="rooms of the worker")
            tasks = {following, looking}
            if self._claims is not None:
                keeper = ClaimKeeper(self._claims, self.calls, self._calls.claim_lost, self._cleared)
                tasks.add(asyncio.create_task(keeper.run(client), name="claims of the worker"))
            over = asyncio.create_task(self._stopping.wait(), name="end of the worker")
            # Where a fallback stands in, a running call gives its place back.
            freed = Vendors.shared().freed
            freed.append(self.wake)
            try:
                done, _ = await asyncio.wait({*tasks, over}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {over}:
                    task.result()
            finally:
                freed.remove(self.wake)
                for task in (*tasks - {following}, over):
                    task.cancel()
                await asyncio.gather(*tasks - {following}, over, return_exceptions=True)
                try:
                    await self._calls.leave_all()
                    if at_end is not None:
                        await at_end()
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)

    async def drain(self, limit: float, farewell: bool = True) -> None:
        """Take no new room; return when the calls that run have ended.

        After so many seconds bots finish what they are saying, say their farewell, and leave: within
        `LAST_WORDS` seconds.

        Args:
            limit: The seconds.
            farewell: Whether they say their farewell: not where another process goes on with the calls.
        """
        self._draining = True
        self.wake()
        if self.running:
            logger.info("no new rooms are taken; %d calls have %g s to end", self.running, limit)
        else:
            logger.info("no new rooms are taken; no call goes on")
        self._calls.note_idle()
        if await self._calls_end(limit):
            return
        logger.info("%d calls have not ended within %g s: their bots leave", self.running, limit)
        for call in self.calls.values():
            call.end_after_speech(farewell)
        await self._calls_end(LAST_WORDS)

    async def _calls_end(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._calls.idle.wait()
        return self._calls.idle.is_set()

    def stop(self) -> None:
        """End: bots leave their rooms, then `run` returns."""
        self._draining = True
        self._stopping.set()

    # --- deciding ---

    def _next_due(self) -> float:
        restarts = (
            call.state.not_before for call in self.calls.values() if call.state.phase is CallPhase.RESTARTING
        )
        takeover = math.inf if self._shard is None else self._shard.next_due()
        now = asyncio.get_running_loop().time()
        abandoned = (at for at in self._abandoned.values() if at > now)
        return min((takeover, *restarts, *abandoned, *self._calls.held_elsewhere.values()))

    def _decide(self) -> None:
        """Start and end what the rooms as they are ask for."""
        now = asyncio.get_running_loop().time()
        held = self._calls.held_elsewhere
        for room_id in [room_id for room_id, at in held.items() if at <= now or self._has_bot(room_id)]:
            del held[room_id]
        abandoned = {room_id for room_id, at in self._abandoned.items() if at <= now}
        for room_id in {room_id for room_id in abandoned if not self._waits_for_bot(room_id)}:
            del self._abandoned[room_id]
        others: Set[str] = frozenset()
        if self._shard is not None:
            self._shard.looked(self.rooms, now)
            others = self._shard.left_to_others(now)
        overload = self._overload()
        view = WorkerView(
            self.rooms,
            () if self._told else self.bots.rules,
            now=now,
            accepts=self._follower.is_known and not self._draining and overload is None,
            restarts=not self._draining,
            capacity=self._capacity,
            members=self.members,
            member=self.member,
            claimed=held.keys() | self.reserved | others,
            full=self._places.full_bots().keys(),
            abandoned=abandoned,
        )
        for action in reconcile(view, {room: call.state for room, call in self.calls.items()}):
            match action:
                case StartCall():
                    self._start(action)
                case StopCall():
                    logger.warning(
                        "another bot is in the room: this one leaves", extra={"room": action.room_id}
                    )
                    self.calls[action.room_id].stop(action.reason)
                case ForgetCall():
                    self._calls.forget(action.room_id)
                    # Somebody else may be in the room already.
                    self.wake()
                case _:
                    assert_never(action)
        for looked in self.looked:
            looked()

    def _has_bot(self, room_id: str) -> bool:
        # Whoever has the claim may be gone as soon as its bot is: nobody waits for the end of the claim then.
        room = self.rooms.get(room_id)
        return room is not None and bool(room.bots)

    def _waits_for_bot(self, room_id: str) -> bool:
        room = self.rooms.get(room_id)
        return room is not None and bool(room.people) and not room.bots and room_id not in self.calls

    # --- calls ---

    def begin(self, room_id: str, bot: str, request: CallRequest | None) -> RoomCall:
        """Begin a call, whoever is in the room; the caller has asked `not_ready`.

        Args:
            room_id: The room, in which no call of this worker goes on.
            bot: The kind of bot.
            request: What the API asks for; None for a call by a rule that somebody else has applied.

        Raises:
            LimitReachedError: A limit of its vendor is reached (`full`).
        """
        state = CallState(room_id, bot, requested=request is not None)
        call = RoomCall(state, request, is_told=True)
        self._places.reserve(call)
        self.calls[room_id] = call
        self._calls.run(call, self._serve)
        return call

    def end(self, call: RoomCall) -> None:
        """End a call for good: its bot leaves, and does not come back while people stay."""
        self._calls.end(call)

    def _start(self, action: StartCall) -> None:
        call = self.calls.get(action.room_id) or RoomCall(CallState(action.room_id, action.bot))
        try:
            self._places.reserve(call)
        except LimitReachedError as error:
            # Several began in this look, and the last of them is one too many.
            logger.debug("no bot yet: %s", error, extra=call.log_fields)
            return
        self.calls[action.room_id] = call
        call.state = replace(call.state, phase=CallPhase.RUNNING)
        self._calls.run(call, self._serve)

    async def _serve(self, call: RoomCall) -> None:
        outcome: CallOutcome | HeldElsewhere | Exception
        assert self._shared is not None
        try:
            outcome = await call.serve(
                lambda: self._make(call),
                self._shared,
                self._limits,
                self._claims,
                None if self._journals is None else lambda: self._open_journal(call),
                () if self._shard is None else self._shard.lost_bots(call.state.room_id),
            )
        except FishjamAgentsError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - a bot's bug ends its own call and no other
            outcome = error
        finally:
            call.vendors.close()
        self._calls.take_end(call, outcome, server_was_away=call.started < self._follower.back_at)
        self._follower.view.touch(call.state.room_id)
        self.wake()
        self._calls.note_idle()

    async def _open_journal(self, call: RoomCall) -> CallJournal | None:
        assert self._journals is not None
        room_id = call.state.room_id
        # What was looked up last may be of before Fishjam lost its rooms: others would be told what was said.
        self.look_at(await self.client.get_room(room_id))
        present = {person.id for person in self.rooms[room_id].people}
        place = CallPlace(self.client.url, room_id, call.state.bot)
        return await self._journals.open(place, present)

    def _make(self, call: RoomCall) -> AgentPipeline:
        room = self.rooms.get(call.state.room_id) or RoomSnapshot(call.state.room_id)
        make = self.bots.make.get(call.state.bot)
        if make is None:
            raise ConfigError(f"the bot {call.state.bot!r} is not configured any more")
        pipeline = make(room)
        apply_settings(pipeline, CallSettings() if call.request is None else call.request.settings, room)
        return pipeline

    def _cleared(self, room_id: str) -> None:
        # Whose process is gone has people who wait for another bot.
        self._calls.held_elsewhere.pop(room_id, None)
        self._abandoned[room_id] = asyncio.get_running_loop().time() + PATIENCE
        self._follower.view.touch(room_id)
        self._follower.hurry()

    @property
    def client(self) -> AsyncFishjamClient:
        """The client of its Fishjam, while it runs."""
        assert self._shared is not None
        return self._shared.client
