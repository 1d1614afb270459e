"""The watcher: a process that looks at the rooms and decides which calls begin.

There are two of them. One rules, the other one waits until it is gone or silent. Either may die, hang or
believe that it rules at any time: calls go on without them, and the ledger and the replicas take orders only
of the one that began to rule last.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import ray
from ray.exceptions import RayError

from fishjam_agents.cli.api_server import api_server
from fishjam_agents.cli.reload import Reloader
from fishjam_agents.config import Config
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient, FishjamNotifier
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.worker.call_service import CallRequest
from fishjam_agents.worker.created_rooms import resolve
from fishjam_agents.worker.room_call import delete_agent
from fishjam_agents.worker.rooms_follower import RoomsFollower
from fishjam_agents.worker.worker import check_token
from fishjam_agents_ray.handles import LedgerHandle, LedgerLostError, RayLostError, living_actors
from fishjam_agents_ray.names import has_calls
from fishjam_agents_ray.replica_calls import ReplicaCalls
from fishjam_agents_ray.reports import BeginAnswer, Begun, LedgerView, LeftCalls, Refused, ReportedCall
from fishjam_agents_ray.ruling import dead_replicas, left_by, rule
from fishjam_agents_ray.service import Service

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 0.25
"""Seconds between two looks at the ledger."""
SILENCE = 2.0
"""Seconds after which the other watcher rules, when the one that did is not heard of."""
DEAF_DEADLINE = 20.0
"""Seconds after which a replica that does not report is killed: nobody knows what it does."""
BEGIN_DEADLINE = 10.0
"""Seconds that a replica has to begin a call."""
UNSURE = 3.0
"""Seconds that a call may take to be reported whose request was not answered."""
FULL_PAUSE = 0.5
"""Seconds after which a room is offered again that no replica took."""
ATTEMPTS = 3
"""Replicas that a call is offered to before that pause."""
READ_DEADLINE = 1.0
"""Seconds that the ledger has to say what it knows: one that hangs is found before replicas give it up."""
LEDGER_FAILURES = 2
"""Questions in a row without an answer after which the ledger's process is killed."""
LEDGER_START = 20.0
"""Seconds in which a ledger that was killed may start, and is not killed again."""
DELETIONS = 20
"""Agents of dead replicas that are deleted at once."""
RAY_INTERVAL = 1.0
"""Seconds between two questions to Ray's control store, while it is away."""
DELETE_ATTEMPTS = 3
"""Attempts to delete the agents of dead replicas; then their rooms get bots all the same."""
API_INTERVAL = 1.0
"""Seconds between two attempts to listen for the calls API, while a watcher that ends has the port."""

_Sent: TypeAlias = "asyncio.Task[None] | tuple[str, int]"
"""A request under way, or the replica that has begun a call, with the number of its last report."""


class WatcherReplica:
    """The deployment class; `app` makes a deployment of it.

    Args:
        service: What it is a part of.
        calls: Serve's handle of the replicas of calls.
    """

    async def __init__(self, service: Service, calls: Any) -> None:  # type: ignore[misc]
        self._me = ray.get_runtime_context().get_actor_name() or ""
        self._service = service
        self._settings: Config = await asyncio.to_thread(service.load)
        setup_logging(self._settings.log, self._settings.secrets)
        self._replicas = calls
        self._ledger = LedgerHandle(service.application)
        self._sent: dict[str, _Sent] = {}
        self._deleted: set[str] = set()
        self._delete_attempts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._epoch = 0
        self._over: str | None = None
        self._failures = 0
        self._ledger_killable = 0.0
        self._looked = asyncio.Event()
        self._follower = RoomsFollower(self._looked.set, lambda: math.inf)
        self._rules, _ = resolve(self._settings.rooms, service.created)
        self._reloader = Reloader(self._settings, lambda settings: None, self._reloaded)
        self._running = asyncio.create_task(self._run(), name="watcher")

    async def check_health(self) -> None:
        """Fail when this watcher cannot work: Serve starts another one.

        Raises:
            RuntimeError: It cannot.
        """
        if self._over is not None:
            raise RuntimeError(self._over)

    async def _run(self) -> None:
        service = self._service
        try:
            async with AsyncFishjamClient(service.fishjam, service.token) as client:
                await check_token(client)
                notifier = FishjamNotifier(service.fishjam, service.token, reconnect=True)
                notifier.subscribe(self._follower.notified)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(notifier.connect(), name="notifier of the watcher")
                    tasks.create_task(self._follower.run(client, notifier), name="rooms of the watcher")
                    tasks.create_task(self._reloader.run(), name="configuration")
                    tasks.create_task(self._greet(), name="first request to the replicas")
                    await self._take_turns(client)
        except* Exception as errors:  # noqa: BLE001 - whatever it is, Serve starts another one
            error = errors.exceptions[0]
            self._over = str(error) or repr(error)
            logger.warning("the watcher ends: %s", self._over)

    async def _greet(self) -> None:
        """Let Serve's handle find the replicas before the first call has to begin."""
        with suppress(RayError):
            await self._replicas.greet.remote()

    async def _serve_api(self) -> None:
        settings = self._settings.api
        if settings is None:
            return
        calls = ReplicaCalls(self._ledger, self._create, self._follower.notified)
        while True:
            try:
                async with api_server(settings, calls):
                    await calls.follow()
            except FishjamAgentsError as error:
                logger.warning("the calls API is not there yet: %s", error)
            except Exception:
                logger.exception("the calls API failed, and is begun again")
            await asyncio.sleep(API_INTERVAL)

    def _reloaded(self, settings: Config, _: object) -> None:
        self._rules, _ = resolve(settings.rooms, self._service.created)

    # --- ruling ---

    async def _take_turns(self, client: AsyncFishjamClient) -> None:
        """Wait, rule until another watcher does, and wait again, until cancelled."""
        while True:
            try:
                await self._wait()
                await self._rule(client)
            except RayLostError as error:
                logger.warning("%s", error)
                await asyncio.sleep(RAY_INTERVAL)
            except LedgerLostError as error:
                self._failures += 1
                logger.warning("%s", error)
                if self._failures >= LEDGER_FAILURES and time.monotonic() > self._ledger_killable:
                    self._ledger_killable = time.monotonic() + LEDGER_START
                    self._ledger.restart()
                await asyncio.sleep(0.2)

    async def _read(self) -> LedgerView:
        view: LedgerView = await self._ledger.ask("read", self._me, deadline=READ_DEADLINE)
        self._failures = 0
        return view

    async def _wait(self) -> None:
        """Wait until nobody rules."""
        await self._ledger.find()
        while True:
            view = await self._read()
            if view.leader in (None, self._me) or view.leader_idle > SILENCE:
                return
            if view.leader is not None and view.leader not in await self._living():
                return
            await asyncio.sleep(LOOK_INTERVAL)

    async def _rule(self, client: AsyncFishjamClient) -> None:
        """Rule until another watcher does."""
        self._epoch = await self._ledger.ask("begin", self._me)
        self._sent.clear()
        await self._ledger.find()
        view = await self._settle(self._epoch)
        api = asyncio.create_task(self._serve_api(), name="calls API")
        try:
            while view.leader == self._me:
                await self._reconcile(client, view)
                self._looked.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_INTERVAL):
                        await self._looked.wait()
                view = await self._read()
        finally:
            api.cancel()
            await asyncio.gather(api, return_exceptions=True)
        logger.warning("%s", "another watcher rules" if view.leader else "the ledger was lost")

    async def _settle(self, epoch: int) -> LedgerView:
        """Wait until every living replica refuses older watchers, and has told what it has."""
        since = time.monotonic()
        while True:
            view = await self._read()
            living = {name for name in await self._living() if has_calls(name)}
            # One that starts has no calls, unless a ledger was lost that knew of them.
            deaf = [
                name
                for name in living
                if (view.reports[name].floor < epoch if name in view.reports else view.is_new)
            ]
            if view.leader != self._me:
                return view
            if not deaf:
                await self._ledger.ask("settle", epoch)
                logger.info("this watcher rules; %d replicas have reported", len(living))
                return view
            if time.monotonic() - since > DEAF_DEADLINE:
                self._kill(deaf)
                since = time.monotonic()
            await asyncio.sleep(0.1)

    def _kill(self, replicas: Iterable[str]) -> None:
        for replica in replicas:
            logger.error("%s has not reported for %g s and is killed", replica, DEAF_DEADLINE)
            with suppress(ValueError, RayError):
                ray.kill(ray.get_actor(replica, namespace="serve"))

    async def _living(self) -> frozenset[str]:
        return await asyncio.to_thread(living_actors, self._service.application)

    async def _reconcile(self, client: AsyncFishjamClient, view: LedgerView) -> None:
        living = await self._living()
        if dead := dead_replicas(view, living):
            view = await self._bury(client, dead, view)
        self._kill(name for name, silent in view.silent.items() if silent > DEAF_DEADLINE and name in living)
        self._forget_sent(view, living)
        if view.order != "serve" or not self._follower.is_known:
            return
        rooms = self._follower.view.rooms
        ruling = rule(rooms, self._rules, view, self._sent.keys(), self._deleted)
        self._deleted &= {bot for room in rooms.values() for bot in room.bots}
        if ruling.left != view.left:
            await self._ledger.ask("bury", self._epoch, [], ruling.left)
        for call in ruling.begin_again:
            self._send(call.room, self._begin_again(call))
        for start in ruling.start:
            self._send(start.room_id, self._start(start.room_id, start.bot))

    async def _bury(self, client: AsyncFishjamClient, dead: list[str], view: LedgerView) -> LedgerView:
        """Delete the agents of dead replicas, whose machines may only be cut off, and free their rooms."""
        agents = [(room, agent) for name in dead for room, agent in view.agents.get(name, {}).items()]
        logger.warning("%d replicas are dead, with %d bots", len(dead), len(agents))
        gate = asyncio.Semaphore(DELETIONS)

        async def delete(room: str, agent: str) -> None:
            async with gate:
                await delete_agent(client, room, agent)

        deletions = [asyncio.create_task(delete(room, agent)) for room, agent in agents]
        results = await asyncio.gather(*deletions, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        for error in failed:
            if not isinstance(error, FishjamAgentsError):
                raise error
            # It is asked again, and nobody gets their rooms for so long.
            logger.warning("an agent of a dead replica is not deleted: %s", error)
        self._delete_attempts.update(dead)
        if failed and min(self._delete_attempts[name] for name in dead) < DELETE_ATTEMPTS:
            return view
        self._deleted |= {agent for _, agent in agents}
        await self._ledger.ask("bury", self._epoch, dead, left_by(dead, view))
        return await self._read()

    # --- beginning calls ---

    def _send(self, room: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._sent[room] = asyncio.create_task(work, name=f"begin a call in {room}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget_sent(self, view: LedgerView, living: frozenset[str]) -> None:
        """Forget requests of which the reports tell by now."""
        for room, at in list(self._sent.items()):
            if isinstance(at, tuple):
                report = view.reports.get(at[0])
                if at[0] not in living or report is None or report.seq > at[1]:
                    del self._sent[room]

    async def _start(self, room: str, bot: str) -> None:
        answer = await self._offered("begin", room, bot, self._epoch)
        self._answered(room, answer)

    async def _begin_again(self, call: ReportedCall) -> None:
        assert call.request is not None
        answer = await self._offered("create", call.request, self._epoch)
        if isinstance(answer, Refused) and answer.status == 404:
            logger.warning("the call %s is not begun again: %s", call.request.id, answer.message)
            with suppress(LedgerLostError):
                await self._forget_requested(call.room)
        self._answered(call.room, answer)

    async def _forget_requested(self, room: str) -> None:
        view = await self._read()
        requested = {name: call for name, call in view.left.requested.items() if name != room}
        await self._ledger.ask("bury", self._epoch, [], LeftCalls(view.left.over, requested))

    def _answered(self, room: str, answer: BeginAnswer | None) -> None:
        if isinstance(answer, Begun):
            self._sent[room] = (answer.replica, answer.seq)
        else:
            self._sent.pop(room, None)

    async def _offered(self, method: str, *arguments: Any) -> BeginAnswer | None:
        """Offer a call to replicas; None where it may have been begun, and the reports tell it."""
        try:
            answer = await self._offer(method, *arguments)
        except FishjamAgentsError as error:
            logger.warning("%s", error)
            await asyncio.sleep(UNSURE)
            return None
        if isinstance(answer, Refused):
            logger.info("no call is begun: %s", answer.message)
            await asyncio.sleep(FULL_PAUSE)
        return answer

    async def _offer(self, method: str, *arguments: Any) -> BeginAnswer:
        """Offer a call to some replicas, one after the other.

        Raises:
            FishjamAgentsError: It may have been begun, or not.
        """
        answer: BeginAnswer = Refused(503, "no replica is ready")
        for _ in range(ATTEMPTS):
            try:
                async with asyncio.timeout(BEGIN_DEADLINE):
                    answer = await getattr(self._replicas, method).remote(*arguments)
            except TimeoutError as error:
                raise FishjamAgentsError(f"no replica has answered within {BEGIN_DEADLINE:g} s") from error
            except RayError as error:
                if method != "begin":
                    raise FishjamAgentsError(f"a replica was lost while it began a call: {error}") from error
                # A call by a rule leaves nothing but its claim, of which the ledger gives one.
                answer = Refused(503, "a replica was lost")
                continue
            if isinstance(answer, Begun) or answer.status != 503:
                break
        return answer

    async def _create(self, request: CallRequest) -> BeginAnswer:
        return await self._offer("create", request, self._epoch)
