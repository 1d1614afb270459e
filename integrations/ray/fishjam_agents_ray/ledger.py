"""The ledger: one small process that knows which replica has which room, and which watcher rules.

It keeps nothing that cannot be reported again: one that is lost is started anew by Ray, is told everything by
the replicas, and gives no room away before it was. It imports no Ray; `handles` makes an actor of it.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from fishjam_agents.worker.call_record import CallRecord
from fishjam_agents_ray.reports import Answer, LedgerView, LeftCalls, Order, Report

KEPT_RECORDS = 2000
"""Calls that are told of, the last ones."""

ClaimAnswer: TypeAlias = Literal["claimed", "held", "unsettled", "buried"]
"""`unsettled`: not all replicas have reported yet, so that nobody knows who has the room."""


class Ledger:
    """Claims, reports and epochs. Every method is called from one thread, one at a time."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(8)
        # Above those of a ledger that was lost; replicas raise it where this clock is behind.
        self._epoch = time.time_ns()
        self._leader: str | None = None
        self._leader_seen = time.monotonic()
        self._settled = False
        self._is_new = True
        self._order: Order = "serve"
        self._reports: dict[str, Report] = {}
        self._heard: dict[str, float] = {}
        self._claims: dict[str, str] = {}
        self._agents: dict[str, dict[str, str]] = {}
        self._buried: set[str] = set()
        self._left = LeftCalls()
        self._ends: dict[str, str] = {}
        self._records: OrderedDict[str, tuple[int, CallRecord]] = OrderedDict()
        self._version = 0

    # --- replicas ---

    def report(self, replica: str, report: Report) -> Answer:
        """Take the report of a replica.

        Args:
            replica: Its name.
            report: The report; one with a lower number than the last is passed over. Number 0 is that of a
                replica that starts.
        """
        self._epoch = max(self._epoch, report.floor)
        if report.seq == 0:
            # It begins nothing before it has the answer, which tells it the epoch.
            report = replace(report, floor=self._epoch)
        if replica in self._buried:
            return Answer(self._id, self._epoch, self._order, buried=True)
        known = self._reports.get(replica)
        if known is None or report.seq > known.seq:
            if known is not None and report.metrics is None:
                report = replace(report, metrics=known.metrics, call_metrics=known.call_metrics)
            self._keep_records(report.records)
            self._reports[replica] = replace(report, records=())
            self._heard[replica] = time.monotonic()
            self._take_claims(replica, report)
        ends = [id for id, holder in self._ends.items() if holder == replica]
        for id in ends:
            del self._ends[id]
        lost = [
            call.room
            for call in report.calls
            if (call.holds_room or call.moves) and self._claims.get(call.room, replica) != replica
        ]
        return Answer(self._id, self._epoch, self._order, end=ends, lost=lost)

    def _take_claims(self, replica: str, report: Report) -> None:
        rooms = {call.room: call for call in report.calls if call.holds_room}
        for room in [room for room, holder in self._claims.items() if holder == replica]:
            if room not in rooms:
                self._free(replica, room)
        for room, call in rooms.items():
            # The older claim counts where a ledger was lost in between and two replicas report one room.
            if self._claims.setdefault(room, replica) == replica and call.agent is not None:
                self._agents.setdefault(replica, {})[room] = call.agent

    def claim(self, replica: str, room: str) -> ClaimAnswer:
        """Give a room to a replica, unless somebody has it."""
        if replica in self._buried:
            return "buried"
        if not self._settled:
            return "claimed" if self._claims.get(room) == replica else "unsettled"
        return "claimed" if self._claims.setdefault(room, replica) == replica else "held"

    def note_agent(self, replica: str, room: str, agent: str | None) -> bool:
        """Note a replica's agent in its room, None when it is gone; false if the room is not its own."""
        if self._claims.get(room) != replica:
            return False
        if agent is None:
            self._agents.get(replica, {}).pop(room, None)
        else:
            self._agents.setdefault(replica, {})[room] = agent
        return True

    def release(self, replica: str, room: str) -> None:
        """Give a room up; does nothing where it is lost already."""
        if self._claims.get(room) == replica:
            self._free(replica, room)

    def _free(self, replica: str, room: str) -> None:
        del self._claims[room]
        self._agents.get(replica, {}).pop(room, None)

    def _keep_records(self, records: Iterable[CallRecord]) -> None:
        for record in records:
            self._version += 1
            self._records[record.id] = (self._version, record)
            self._records.move_to_end(record.id)
        while len(self._records) > KEPT_RECORDS:
            self._records.popitem(last=False)

    # --- the watcher ---

    def begin(self, leader: str) -> int:
        """Begin the rule of a watcher; returns its epoch, above all earlier ones."""
        self._epoch = max(self._epoch + 1, time.time_ns())
        self._leader = leader
        self._leader_seen = time.monotonic()
        self._settled = False
        return self._epoch

    def settle(self, epoch: int) -> bool:
        """Let rooms be claimed: all living replicas have reported; false if somebody else rules."""
        if epoch == self._epoch:
            self._settled = True
            self._is_new = False
        return epoch == self._epoch

    def bury(self, epoch: int, replicas: Sequence[str], left: LeftCalls) -> bool:
        """Free the rooms of replicas that are dead, and keep what they have left.

        Args:
            epoch: That of the watcher.
            replicas: The dead.
            left: What they and others before them have left.

        Returns:
            False, and nothing done, if somebody else rules.
        """
        if epoch != self._epoch:
            return False
        for replica in replicas:
            self._buried.add(replica)
            self._reports.pop(replica, None)
            self._heard.pop(replica, None)
            self._agents.pop(replica, None)
            self._claims = {room: holder for room, holder in self._claims.items() if holder != replica}
        self._left = left
        return True

    def read(self, reader: str = "") -> LedgerView:
        """Return what is known.

        Args:
            reader: The watcher that asks; the one that rules is heard of by that.
        """
        now = time.monotonic()
        if reader == self._leader:
            self._leader_seen = now
        idle = now - self._leader_seen
        silent = {replica: now - heard for replica, heard in self._heard.items()}
        return LedgerView(
            self._leader,
            idle,
            self._settled,
            self._is_new,
            self._order,
            self._reports,
            silent,
            self._agents,
            self._left,
        )

    def records(self, since: int) -> tuple[str, int, Sequence[CallRecord]]:
        """Return this ledger's id, the newest version, and the records after a version."""
        changed = [record for version, record in self._records.values() if version > since]
        return self._id, self._version, changed

    def end_calls(self, ends: Mapping[str, str]) -> None:
        """Have calls ended: the replica of each, by its id."""
        self._ends |= ends

    def give_order(self, order: Order) -> None:
        """Tell all replicas what to do, and the watcher to begin nothing if it is not `serve`."""
        self._order = order
