"""Calls that the API asks one worker for, and what is known of its calls afterwards."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fishjam_agents.backends.vendors import LimitReachedError, Vendors
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import NotFoundError
from fishjam_agents.fishjam.webhooks import decode_server_notifications
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents.worker.call_settings import apply_settings
from fishjam_agents.worker.call_state import CallPhase
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.metrics import METRICS, OVERLOAD, series_of
from fishjam_agents.worker.multi_room import MultiRoomWorker
from fishjam_agents.worker.orphaned_agents import Note, OrphanedAgents
from fishjam_agents.worker.result_webhook import post_result
from fishjam_agents.worker.room_call import RoomCall
from fishjam_agents.worker.room_snapshot import RoomSnapshot
from fishjam_agents.worker.unanswered import new_room

logger = logging.getLogger(__name__)

KEPT_RECORDS = 1000
"""Calls that are over and still told of, the last ones."""
CLOSE_DEADLINE = 5.0
"""Seconds that rooms and results have at the end of the program."""

_PREFIX = "fishjam_agents_"


class WorkerCalls:
    """A `CallService` of one worker.

    Args:
        worker: The worker.
        monitor: Its load.
        secret: Key of the signature of results; None leaves it out.
        orphans: Remembers rooms that a crash would leave behind; None remembers nothing.
        measured: Tells the metrics of calls, in the text form of Prometheus.
        moves: Whether another process goes on with calls that this one has to let go: their rooms stay, and
            no result is posted.

    Attributes:
        moves: The same, now.
    """

    def __init__(
        self,
        worker: MultiRoomWorker,
        monitor: LoadMonitor,
        secret: str | None = None,
        orphans: OrphanedAgents | None = None,
        measured: Callable[[], str] = lambda: "",
        moves: bool = False,
    ) -> None:
        self._worker = worker
        self._measured = measured
        self.moves = moves
        self._monitor = monitor
        self._secret = secret
        self._orphans = orphans
        self._over: OrderedDict[str, CallRecord] = OrderedDict()
        self._made: dict[str, Note | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        worker.finished.append(self._finished)

    async def close(self) -> None:
        """Wait for rooms to be deleted and results to be taken, for a while."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_DEADLINE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def create(self, request: CallRequest) -> CallRecord:
        """Part of `CallService`."""
        bot = self._check(request)
        room_id = request.room
        if room_id is None:
            room_id = await self._make_room()
        else:
            await self._look_up(room_id)
        # Nothing is awaited from here on: of two requests for one room the second sees the first.
        try:
            self._check_free(room_id, request)
        except CallRefusedError:
            if request.room is None:
                self._spawn(self._delete_room(room_id))
            raise
        if request.made_room:
            self._made[room_id] = self._note(room_id)
        try:
            return self._worker.begin(room_id, bot, request).record(self._worker.member)
        except LimitReachedError as error:
            if room_id in self._made:
                self._spawn(self._delete_room(room_id))
            raise CallRefusedError(503, f"the bot {bot!r} takes no call: {error.reason}") from error

    async def _look_up(self, room_id: str) -> None:
        self._worker.reserved.add(room_id)
        try:
            self._worker.look_at(await self._worker.client.get_room(room_id))
        except NotFoundError as error:
            raise CallRefusedError(404, f"there is no room {room_id!r}") from error
        finally:
            self._worker.reserved.discard(room_id)

    def _check(self, request: CallRequest) -> str:
        self._check_ready(request)
        bots = self._worker.bots.make
        bot = request.bot if request.bot is not None else next(iter(bots)) if len(bots) == 1 else None
        if bot is None:
            raise CallRefusedError(400, f"bot is missing: use one of {', '.join(bots)}")
        if bot not in bots:
            raise CallRefusedError(400, f"there is no bot {bot!r}: use one of {', '.join(bots)}")
        if request.settings.voice is not None or request.settings.keys:
            snapshot = RoomSnapshot(request.room or "")
            try:
                apply_settings(bots[bot](snapshot), request.settings, snapshot)
            except (FishjamAgentsError, ValueError) as error:
                raise CallRefusedError(400, str(error)) from error
        # Before a room is made for it.
        if (full := self._worker.full(bot, request.settings)) is not None:
            raise CallRefusedError(503, f"the bot {bot!r} takes no call: {full}")
        return bot

    def _check_ready(self, request: CallRequest) -> None:
        reason = self._worker.not_ready(again=request.again)
        if reason is not None:
            raise CallRefusedError(503, f"no new rooms are taken: {reason}")

    def _check_free(self, room_id: str, request: CallRequest) -> None:
        self._check_ready(request)
        call = self._worker.calls.get(room_id)
        if call is not None and call.state.phase in (CallPhase.RUNNING, CallPhase.RESTARTING):
            raise CallRefusedError(409, f"the room has a call already: {call.id}")
        room = self._worker.rooms.get(room_id)
        if room is not None and room.bots:
            raise CallRefusedError(409, "a bot is in the room already")

    async def _make_room(self) -> str:
        async with new_room(self._worker.client):
            room = await self._worker.client.create_room()
        self._made[room.id] = self._note(room.id)
        self._worker.look_at(room)
        return room.id

    def _note(self, room_id: str) -> Note | None:
        if self._orphans is None:
            return None
        return self._orphans.note(self._worker.client.url, room_id, None, made_room=True)

    async def _delete_room(self, room_id: str) -> None:
        note = self._made.pop(room_id)
        try:
            await self._worker.client.delete_room(room_id)
        except NotFoundError:
            logger.debug("the room was gone already", extra={"room": room_id})
        except FishjamAgentsError as error:
            logger.warning("could not delete the room: %s", error, extra={"room": room_id})
            if note is not None:
                note.close()
            return
        if note is not None:
            note.forget()

    def _finished(self, call: RoomCall) -> None:
        if self.moves and call.goes_on_elsewhere:
            return
        record = call.record(self._worker.member)
        self._over[call.id] = record
        while len(self._over) > KEPT_RECORDS:
            self._over.popitem(last=False)
        if call.request is None:
            return
        if call.request.webhook is not None:
            self._spawn(self._post(call.request.webhook, record))
        if call.state.room_id in self._made:
            self._spawn(self._delete_room(call.state.room_id))

    async def _post(self, url: str, record: CallRecord) -> None:
        await post_result(url, record, self._secret)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="calls of the API")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def records(self) -> Sequence[CallRecord]:
        """Part of `CallService`."""
        known = dict(self._over)
        known |= {
            call.id: call.record(self._worker.member) for call in self._worker.calls.values() if call.is_told
        }
        return list(known.values())

    def record(self, id: str) -> CallRecord | None:
        """Part of `CallService`."""
        for call in self._worker.calls.values():
            if call.id == id:
                return call.record(self._worker.member)
        return self._over.get(id)

    def end(self, id: str) -> bool:
        """Part of `CallService`."""
        for call in self._worker.calls.values():
            if call.id == id:
                self._worker.end(call)
                return True
        return id in self._over

    def notified(self, message: bytes) -> None:
        """Part of `CallService`."""
        for event in decode_server_notifications(message):
            self._worker.notified(event)

    def not_ready(self) -> str | None:
        """Part of `CallService`."""
        return self._worker.not_ready()

    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Part of `CallService`."""
        values: dict[str, float] = {
            f"{_PREFIX}calls": self._worker.running,
            f"{_PREFIX}rooms": len(self._worker.rooms),
            f"{_PREFIX}looks_total": self._worker.looks,
            f"{_PREFIX}ready": float(self._worker.not_ready() is None),
            f"{_PREFIX}loop_lag_seconds": self._monitor.load.lag,
            f"{_PREFIX}cpu_cores": self._monitor.load.cpu,
            f"{_PREFIX}overload": OVERLOAD[self._monitor.state],
            f"{_PREFIX}overloads_total": self._monitor.overloads,
        }
        for vendor, counts in Vendors.shared().counts().items():
            for name, count in (
                ("vendor_breakers_open", counts.open),
                ("vendor_breakers_opened_total", counts.opened),
                ("vendor_requests_waiting", counts.waiting),
                ("vendor_limit_reached_total", counts.refused),
            ):
                values[series_of(_PREFIX + name, "vendor", vendor)] = count
        for name, metric in METRICS.items():
            counter = name.removeprefix(_PREFIX).removesuffix("_total")
            if name not in values and not metric.labels:
                values[name] = self._worker.counters[counter]
        return {name: {self._worker.member: value} for name, value in values.items()}

    def call_metrics(self) -> str:
        """Part of `CallService`."""
        return self._measured()
