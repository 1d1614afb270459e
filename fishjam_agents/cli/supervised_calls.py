"""The calls API of a program with several worker processes."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from fishjam_agents.cli.rooms_child import request_to
from fishjam_agents.cli.supervisor import Supervisor, WorkerProcess
from fishjam_agents.fishjam.webhooks import decode_server_notifications
from fishjam_agents.worker.call_record import FINAL, CallRecord
from fishjam_agents.worker.call_service import CallRefusedError, CallRequest
from fishjam_agents.worker.rendezvous import assigned_to
from fishjam_agents.worker.result_webhook import post_result

logger = logging.getLogger(__name__)

KEPT_RECORDS = 2000
"""Calls that are told of, those that go on beyond it."""
ANSWER_DEADLINE = 15.0
"""Seconds that all processes which are asked in turn have to begin a call."""
BEGIN_ATTEMPTS = 20
"""Attempts to begin a call again whose process has died."""
BEGIN_INTERVAL = 0.5
"""Seconds between two of them."""


_UNAVAILABLE = 503
"""Status of what a process refuses for now."""
_Awaited: TypeAlias = tuple[WorkerProcess, asyncio.Future[CallRecord | CallRefusedError]]


class SupervisedCalls:
    """A `CallService` that passes calls on to worker processes, and again to another one when theirs dies.

    Args:
        supervisor: Keeps the processes.
        secret: What the result of a call that no process takes again is signed with; None leaves it out.
    """

    def __init__(self, supervisor: Supervisor, secret: str | None = None) -> None:
        self._supervisor = supervisor
        self._secret = secret
        self._records: OrderedDict[str, CallRecord] = OrderedDict()
        self._requests: dict[str, CallRequest] = {}
        self._told_to_end: set[str] = set()
        self._answers: dict[str, _Awaited] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        supervisor.heard.append(self._heard)
        supervisor.died.append(self._died)

    async def create(self, request: CallRequest) -> CallRecord:
        """Part of `CallService`: where a process cannot take it now, the next one is asked."""
        end = asyncio.get_running_loop().time() + ANSWER_DEADLINE
        refusal: CallRefusedError | None = None
        for worker in self._choices(request):
            answer = await self._ask(worker, request, end)
            if isinstance(answer, CallRecord):
                return self._begun(request, answer, worker)
            refusal = answer
            if answer.status != _UNAVAILABLE:
                break
        raise refusal or CallRefusedError(_UNAVAILABLE, f"no new rooms are taken: {self.not_ready()}")

    async def _ask(
        self, worker: WorkerProcess, request: CallRequest, end: float
    ) -> CallRecord | CallRefusedError:
        """Return what a process answers, by a loop time."""
        answer: asyncio.Future[CallRecord | CallRefusedError] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = (worker, answer)
        worker.channel.send("create", request=request_to(request))
        try:
            async with asyncio.timeout_at(end):
                return await answer
        except TimeoutError as error:
            worker.channel.send("end", id=request.id)
            raise CallRefusedError(_UNAVAILABLE, f"the process {worker.member} did not answer") from error
        finally:
            del self._answers[request.id]

    def _begun(self, request: CallRequest, begun: CallRecord, worker: WorkerProcess) -> CallRecord:
        self._keep(begun, worker)
        record = self._records[begun.id]
        # It may be over by now, and then nobody asks for it again.
        if record.status not in FINAL:
            self._requests[record.id] = dataclasses.replace(
                request,
                room=record.room,
                bot=record.bot,
                made_room=request.made_room or request.room is None,
                again=True,
            )
        return record

    def _choices(self, request: CallRequest) -> Iterator[WorkerProcess]:
        """Yield processes for a call: as its room is assigned, without one those with few calls first.

        A call of a process that is gone goes to one that is over a limit of load where all are.
        """
        room_id = request.room
        asked: set[str] = set()
        while ready := self._ready(asked) or (self._overloaded(asked) if request.again else {}):
            if room_id is None:
                calls = self._counts(ready)
                member = min(calls, key=lambda member: calls[member])
            elif (last := self._last_of(room_id)) is not None and last in ready:
                member = last
            else:
                member = assigned_to(room_id, ready)
            asked.add(member)
            yield ready[member]
            if room_id is not None and member == self._last_of(room_id):
                # It may hold the room's claim still, and any other would be kept out.
                return

    def _last_of(self, room_id: str) -> str | None:
        """The process that had a room last, which may remember its people."""
        records = reversed(self._records.values())
        return next((record.process for record in records if record.room == room_id), None)

    def _counts(self, members: Iterable[str]) -> Mapping[str, int]:
        calls = {member: 0 for member in members}
        for record in self._records.values():
            if record.process in calls and record.status not in FINAL:
                calls[record.process] += 1
        return calls

    def _heard(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        match message["kind"]:
            case "refused":
                if (answer := self._awaited(message["id"], worker)) is not None:
                    answer.set_result(CallRefusedError(message["status"], message["message"]))
            case "created":
                record = CallRecord(**message["record"])
                if (answer := self._awaited(record.id, worker)) is not None:
                    answer.set_result(record)
            case "call":
                self._keep(CallRecord(**message["record"]), worker)
            case kind:
                raise AssertionError(kind)

    def _awaited(
        self, id: str, worker: WorkerProcess
    ) -> asyncio.Future[CallRecord | CallRefusedError] | None:
        asked, answer = self._answers.get(id, (None, None))
        return answer if asked is worker and answer is not None and not answer.done() else None

    def _keep(self, record: CallRecord, worker: WorkerProcess) -> None:
        known = self._records.get(record.id)
        if known is not None and known.process == worker.member and known.status in FINAL:
            return
        self._records[record.id] = dataclasses.replace(record, process=worker.member)
        if record.status in FINAL:
            self._requests.pop(record.id, None)
            self._told_to_end.discard(record.id)
            self._records.move_to_end(record.id)
        if len(self._records) > KEPT_RECORDS:
            over = next((id for id, old in self._records.items() if old.status in FINAL), None)
            if over is not None:
                del self._records[over]

    def _died(self, worker: WorkerProcess) -> None:
        for id, record in list(self._records.items()):
            if record.process != worker.member or record.status in FINAL:
                continue
            request = self._requests.pop(id, None)
            if request is None:
                self._over(record, "its process ended")
                continue
            self._records[id] = dataclasses.replace(record, status="restarting", reason="its process ended")
            self._spawn(self._begin_again(request), "call of a dead process")
        for asked, answer in self._answers.values():
            if asked is worker and not answer.done():
                answer.set_exception(CallRefusedError(_UNAVAILABLE, f"the process {worker.member} ended"))

    async def _begin_again(self, request: CallRequest) -> None:
        problem = ""
        for _ in range(BEGIN_ATTEMPTS):
            try:
                await self.create(request)
                if request.id in self._told_to_end:
                    # One that is gone was to end it. This one deletes its room, and tells its end.
                    self.end(request.id)
                return
            except CallRefusedError as error:
                # The server may not know yet that the bot is gone, and the others may be starting.
                problem = str(error)
            await asyncio.sleep(BEGIN_INTERVAL)
        logger.error(
            "a call is not begun again by another process: %s", problem, extra={"room": request.room}
        )
        record = self._records.get(request.id)
        if record is not None:
            over = self._over(record, f"its process ended, and {problem}")
            if request.webhook is not None:
                # Nobody else is left to post it.
                self._spawn(post_result(request.webhook, over, self._secret), "result of a call")

    def _over(self, record: CallRecord, reason: str) -> CallRecord:
        """Note that a call has ended with its process, and return what is told of it."""
        over = dataclasses.replace(record, status="ended", ended=time.time(), reason=reason)
        self._records[record.id] = over
        self._told_to_end.discard(record.id)
        return over

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Begin no call again, and give up results that are not taken yet: the program ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ready(self, asked: Set[str]) -> Mapping[str, WorkerProcess]:
        """Return the processes that take new rooms and have not been asked."""
        members = self._supervisor.members
        workers = self._supervisor.workers.items()
        return {
            member: worker
            for member, worker in workers
            if worker.not_ready is None and member in members and member not in asked
        }

    def _overloaded(self, asked: Set[str]) -> Mapping[str, WorkerProcess]:
        """Return those that take none for their load alone; rooms are not shared with them."""
        now = asyncio.get_running_loop().time()
        return {
            member: worker
            for member, worker in self._supervisor.workers.items()
            if worker.takes_lost_calls and not worker.is_quiet(now) and member not in asked
        }

    def records(self) -> Sequence[CallRecord]:
        """Part of `CallService`."""
        return list(self._records.values())

    def record(self, id: str) -> CallRecord | None:
        """Part of `CallService`."""
        return self._records.get(id)

    def end(self, id: str) -> bool:
        """Part of `CallService`."""
        record = self._records.get(id)
        if record is None:
            return False
        if record.status not in FINAL:
            self._told_to_end.add(id)
        worker = self._supervisor.workers.get(record.process)
        if worker is not None:
            worker.channel.send("end", id=id)
        return True

    def notified(self, message: bytes) -> None:
        """Part of `CallService`."""
        decode_server_notifications(message)
        text = base64.b64encode(message).decode()
        for worker in self._supervisor.workers.values():
            worker.channel.send("notified", message=text)

    def not_ready(self) -> str | None:
        """Part of `CallService`."""
        workers = self._supervisor.workers.values()
        if any(worker.not_ready is None for worker in workers):
            return None
        return "; ".join(f"{worker.member}: {worker.not_ready}" for worker in workers) or "no process runs"

    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Part of `CallService`."""
        found: dict[str, dict[str, float]] = {}
        for worker in self._supervisor.workers.values():
            for name, value in worker.metrics.items():
                found.setdefault(name, {})[worker.member] = value
        return found

    def call_metrics(self) -> str:
        """Part of `CallService`: as of some seconds ago."""
        workers = tuple(self._supervisor.workers.values())
        texts = {worker.member: worker.call_metrics for worker in workers if worker.call_metrics}
        if not texts:
            return ""
        from fishjam_agents.observe.metrics import merged

        return merged(texts)
