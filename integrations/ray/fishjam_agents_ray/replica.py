"""A replica: one process that has calls, which the watcher begins by short requests.

Serve sees the calls by three hooks of a deployment: `record_autoscaling_stats` counts them, `check_health`
runs on their loop, and `__del__` waits for their end when the replica is to go (Ray Serve docs, Advanced
autoscaling; Health checks; `serve.deployment`, graceful shutdown).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Mapping
from contextlib import suppress

import ray

from fishjam_agents.backends.vendors import LimitReachedError
from fishjam_agents.cli.loops import freeze_gc
from fishjam_agents.cli.rooms_process import RoomsProcess, make_bots
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import NotFoundError
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents.worker.room_call import RoomCall
from fishjam_agents_ray.claims import LedgerClaims
from fishjam_agents_ray.handles import LEDGER_DEADLINE, LedgerHandle, LedgerLostError
from fishjam_agents_ray.names import short_name
from fishjam_agents_ray.reports import Answer, BeginAnswer, Begun, Refused, Report, ReportedCall
from fishjam_agents_ray.service import Service

logger = logging.getLogger(__name__)

REPORT_INTERVAL = 0.5
"""Seconds between two reports."""
START_DEADLINE = 30.0
"""Seconds that a ledger has to start."""
METRICS_EVERY = 10
"""Reports of which one has the metrics."""
UNLIMITED = 1_000_000
"""Calls that a replica without a limit could begin."""


class CallsReplica:
    """The deployment class; `app` makes a deployment of it.

    Args:
        service: What it is a part of.
    """

    async def __init__(self, service: Service) -> None:  # type: ignore[misc]
        self._name = ray.get_runtime_context().get_actor_name() or ""
        self._ledger = LedgerHandle(service.application)
        self._seq = 0
        self._metrics_due = 0
        self._floor = 0
        self._lost_for = 0.0
        self._reporting: asyncio.Task[None] | None = None
        self._ledger_id = ""
        self._told: dict[str, CallRecord] = {}
        self._over: str | None = None
        self._ordered = False
        self._process: RoomsProcess | None = None
        self._claims = LedgerClaims(self._ledger, self._name)
        # Before anything that takes long: a watcher waits until all replicas know its epoch.
        self._take(await self._ledger.ask("report", self._name, Report(0), deadline=START_DEADLINE), {})
        self._reporting = asyncio.create_task(self._report(), name="reports to the ledger")
        settings = await asyncio.to_thread(service.load)
        bots = await asyncio.to_thread(make_bots, settings)
        setup_logging(settings.log, settings.secrets)
        limits = service.process_limits(settings)
        self._most = limits.max_calls or UNLIMITED
        self._lost_after = service.ray(settings).lost_after
        self._drain = service.ray(settings).drain
        process = RoomsProcess(
            settings, bots, service.fishjam, service.token, (), self._claims, told=True, workers=limits
        )
        process.worker.member = short_name(self._name)
        freeze_gc()
        self._serving = asyncio.create_task(self._serve(process), name="calls of the replica")
        self._process = process

    # --- what Serve asks ---

    def record_autoscaling_stats(self) -> Mapping[str, float]:
        """Return the number of calls, by which Serve scales."""
        return {"calls": 0.0 if self._process is None else float(self._process.worker.running)}

    async def check_health(self) -> None:
        """Fail when the replica is of no use any more; a loop that hangs fails as well.

        Raises:
            RuntimeError: It is not.
        """
        if self._over is not None and not self._ordered:
            raise RuntimeError(self._over)

    async def __del__(self) -> None:
        """Drain: Serve waits for this, up to `graceful_shutdown_timeout_s`."""
        if self._process is not None:
            self._process.hand_over(self._drain)
            await self._serving
        if self._reporting is not None:
            self._reporting.cancel()
        with suppress(LedgerLostError):
            await self._send_report()

    # --- what the watcher asks ---

    async def greet(self) -> str:
        """Return the replica's name: the first request by a handle takes longer than those that follow."""
        return self._name

    async def begin(self, room_id: str, bot: str, epoch: int) -> BeginAnswer:
        """Begin a call that a rule asks for."""
        if (refused := self._refuses(epoch)) is not None:
            return refused
        assert self._process is not None
        worker = self._process.worker
        # Before Fishjam is asked: a room that waits for its vendor is offered again and again.
        if (full := worker.full(bot)) is not None:
            return _full(bot, full)
        worker.reserved.add(room_id)
        try:
            worker.look_at(await worker.client.get_room(room_id))
        except NotFoundError:
            return Refused(404, "the room is gone")
        except FishjamAgentsError as error:
            return Refused(502, str(error))
        finally:
            worker.reserved.discard(room_id)
        # Nothing is awaited from here on: a watcher that was replaced meanwhile begins nothing.
        if (refused := self._refuses(epoch)) is not None:
            return refused
        call = worker.calls.get(room_id)
        if call is None:
            if worker.rooms[room_id].bots:
                return Refused(409, "a bot is in the room already")
            try:
                call = worker.begin(room_id, bot, None)
            except LimitReachedError as error:
                return _full(bot, error.reason)
        return Begun(self._name, self._seq, call.record(worker.member))

    async def create(self, request: CallRequest, epoch: int) -> BeginAnswer:
        """Begin a call that the calls API asks for."""
        if (refused := self._refuses(epoch)) is not None:
            return refused
        assert self._process is not None
        try:
            record = await self._process.calls.create(request)
        except CallRefusedError as error:
            return Refused(error.status, str(error))
        except FishjamAgentsError as error:
            return Refused(502, str(error))
        return Begun(self._name, self._seq, record)

    def _refuses(self, epoch: int) -> Refused | None:
        if epoch < self._floor:
            return Refused(410, "another watcher rules")
        reason = self._not_ready()
        return None if reason is None else Refused(503, reason)

    def _not_ready(self) -> str | None:
        if self._process is None:
            return "it is starting"
        return self._over or self._process.worker.not_ready()

    # --- the ledger ---

    async def _serve(self, process: RoomsProcess) -> None:
        try:
            await process.run()
            self._over = "it has ended"
        except FishjamAgentsError as error:
            self._over = str(error)
            logger.error("the replica is of no use: %s", error)
        except Exception as error:
            self._over = repr(error)
            logger.exception("the replica is of no use")

    async def _report(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._send_report()
            except LedgerLostError as error:
                logger.warning("%s", error)
                # A process that was stopped for a while has not missed the ledger for all of it.
                self._lost_for += min(time.monotonic() - began, LEDGER_DEADLINE) + REPORT_INTERVAL
                if self._lost_for > self._lost_after:
                    self._let_go(f"the ledger was not reached for {self._lost_after:g} s")
            await asyncio.sleep(REPORT_INTERVAL)

    async def _send_report(self) -> None:
        self._seq += 1
        process = self._process
        if process is None:
            report = Report(self._seq, self._floor, not_ready=self._not_ready())
            self._take(await self._ledger.ask("report", self._name, report), {})
            return
        records = {record.id: record for record in process.calls.records()}
        worker, not_ready = process.worker, self._not_ready()
        report = Report(
            self._seq,
            self._floor,
            tuple(_reported(call) for call in worker.calls.values() if call.is_claimed),
            0 if not_ready else max(0, self._most - worker.running),
            not_ready,
            [record for id, record in records.items() if self._told.get(id) != record],
        )
        if self._seq >= self._metrics_due:
            self._metrics_due = self._seq + METRICS_EVERY
            report = await _with_metrics(report, process)
        self._take(await self._ledger.ask("report", self._name, report), records)

    def _take(self, answer: Answer, told: Mapping[str, CallRecord]) -> None:
        self._lost_for = 0.0
        self._floor = max(self._floor, answer.epoch)
        # A ledger that is new knows no records.
        self._told = dict(told) if answer.ledger == self._ledger_id else {}
        self._ledger_id = answer.ledger
        self._claims.lose(answer.lost)
        if self._process is None:
            return
        for id in answer.end:
            self._process.calls.end(id)
        self._ordered = answer.order != "serve"
        if answer.buried:
            self._over = "Ray has declared it dead"
            self._let_go(self._over)
        elif answer.order != "serve":
            # The service ends, and nobody goes on with the calls.
            self._process.calls.moves = False
            if answer.order == "drain":
                self._process.drain()
            else:
                self._process.stop()

    def _let_go(self, why: str) -> None:
        """Let all bots leave: others may be in their rooms."""
        if self._process is None:
            return
        for call in self._process.worker.calls.values():
            if call.is_running and call.stopping is None:
                logger.warning("the bot leaves: %s", why, extra=call.log_fields)
                call.stop("claim_lost")


def _full(bot: str, reason: str) -> Refused:
    return Refused(503, f"the bot {bot!r} takes no call: {reason}")


def _reported(call: RoomCall) -> ReportedCall:
    state = call.state
    request = call.request
    if request is not None:
        # The room is known now; who goes on with the call takes over what becomes of it.
        made_room = request.made_room or request.room is None
        request = dataclasses.replace(request, room=state.room_id, bot=state.bot, made_room=made_room)
    return ReportedCall(
        state.room_id, state.bot, state.phase, state.agent_id, call.goes_on_elsewhere, state.people, request
    )


async def _with_metrics(report: Report, process: RoomsProcess) -> Report:
    values = {
        name: value for name, by_process in process.calls.metrics().items() for value in by_process.values()
    }
    text = await asyncio.to_thread(process.calls.call_metrics)
    return dataclasses.replace(report, metrics=values, call_metrics=text)
