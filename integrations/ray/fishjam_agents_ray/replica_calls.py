"""The calls API of a service on Ray: asked at the watcher, served by the replicas."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam.notifier import NotifierEvent
from fishjam_agents.fishjam.webhooks import decode_server_notifications
from fishjam_agents.worker.call_record import FINAL, CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents_ray.handles import LedgerHandle, LedgerLostError
from fishjam_agents_ray.ledger import KEPT_RECORDS
from fishjam_agents_ray.names import short_name
from fishjam_agents_ray.reports import BeginAnswer, LedgerView, Refused, Report

logger = logging.getLogger(__name__)

FOLLOW_INTERVAL = 0.5
"""Seconds between two looks at the ledger."""


class ReplicaCalls:
    """A `CallService` that passes calls on to replicas. What it tells is what they have reported.

    Args:
        ledger: The ledger.
        begin: Offers a call to the replicas.
        notified: Takes what Fishjam's webhooks tell, one after the other.
    """

    def __init__(
        self,
        ledger: LedgerHandle,
        begin: Callable[[CallRequest], Awaitable[BeginAnswer]],
        notified: Callable[[NotifierEvent], object],
    ) -> None:
        self._ledger = ledger
        self._notified = notified
        self._begin = begin
        self._records: OrderedDict[str, CallRecord] = OrderedDict()
        self._reports: Mapping[str, Report] = {}
        self._known: tuple[str, int] = ("", 0)
        self._ending: set[asyncio.Task[None]] = set()

    async def follow(self) -> None:
        """Keep what is told up to date until cancelled."""
        while True:
            # The watcher says that the ledger is lost, and does what can be done.
            with suppress(LedgerLostError):
                await self._look()
            await asyncio.sleep(FOLLOW_INTERVAL)

    async def _look(self) -> None:
        ledger, since = self._known
        id, version, records = await self._ledger.ask("records", since)
        if id != ledger:
            # A new ledger counts from the start.
            id, version, records = await self._ledger.ask("records", 0)
        self._known = (id, version)
        for record in records:
            self._keep(record)
        view: LedgerView = await self._ledger.ask("read")
        self._reports = view.reports

    def _keep(self, record: CallRecord) -> None:
        self._records[record.id] = record
        self._records.move_to_end(record.id)
        while len(self._records) > KEPT_RECORDS:
            self._records.popitem(last=False)

    async def create(self, request: CallRequest) -> CallRecord:
        """Part of `CallService`."""
        try:
            answer = await self._begin(request)
        except FishjamAgentsError as error:
            raise CallRefusedError(503, str(error)) from error
        if isinstance(answer, Refused):
            raise CallRefusedError(answer.status, answer.message)
        self._keep(answer.record)
        return answer.record

    def records(self) -> Sequence[CallRecord]:
        """Part of `CallService`."""
        return [self._shown(record) for record in self._records.values()]

    def record(self, id: str) -> CallRecord | None:
        """Part of `CallService`."""
        record = self._records.get(id)
        return None if record is None else self._shown(record)

    def _shown(self, record: CallRecord) -> CallRecord:
        """A record as it is now that its replica may be gone."""
        if record.status in FINAL or record.process in {short_name(name) for name in self._reports}:
            return record
        if record.requested:
            return dataclasses.replace(record, status="restarting", reason="its replica is gone")
        return dataclasses.replace(record, status="ended", ended=None, reason="its replica is gone")

    def end(self, id: str) -> bool:
        """Part of `CallService`."""
        record = self._records.get(id)
        if record is None:
            return False
        holder = next((name for name in self._reports if short_name(name) == record.process), None)
        if holder is not None and record.status not in FINAL:
            task = asyncio.create_task(self._end(id, holder), name="end of a call")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        return True

    async def _end(self, id: str, replica: str) -> None:
        try:
            await self._ledger.ask("end_calls", {id: replica})
        except LedgerLostError as error:
            logger.warning("the call %s is not ended: %s", id, error)

    def notified(self, message: bytes) -> None:
        """Part of `CallService`."""
        for event in decode_server_notifications(message):
            self._notified(event)

    def not_ready(self) -> str | None:
        """Part of `CallService`."""
        if any(report.free for report in self._reports.values()):
            return None
        reasons = {
            short_name(name): report.not_ready or "it is full" for name, report in self._reports.items()
        }
        return "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no replica runs"

    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Part of `CallService`: as of some seconds ago."""
        found: dict[str, dict[str, float]] = {}
        for name, report in self._reports.items():
            for metric, value in (report.metrics or {}).items():
                found.setdefault(metric, {})[short_name(name)] = value
        return found

    def call_metrics(self) -> str:
        """Part of `CallService`: as of some seconds ago."""
        texts = {short_name(name): report.call_metrics for name, report in self._reports.items()}
        told = {name: text for name, text in texts.items() if text}
        if not told:
            return ""
        from fishjam_agents.observe.metrics import merged

        return merged(told)
