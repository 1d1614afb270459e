"""One process that serves the rooms of a file: its worker, its limits, its configuration as it changes."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, cast

from fishjam_agents.backends.port import Backend
from fishjam_agents.cli.metrics import call_metrics
from fishjam_agents.cli.reload import Reloader
from fishjam_agents.cli.tracing import call_tracing
from fishjam_agents.config import Config, backends_of, differing_limits, pipeline_factory
from fishjam_agents.journal.journal import Journals
from fishjam_agents.observe.event_webhooks import EventWebhooks
from fishjam_agents.observe.log import EventLog, log_bot, log_room
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.pipeline.preload import preload
from fishjam_agents.worker import Bots, MultiRoomWorker, OrphanedAgents, RoomSnapshot, shared_stores
from fishjam_agents.worker.claims import Claims, ClaimStoreError, ProcessClaims
from fishjam_agents.worker.created_rooms import CreatedRooms, resolve
from fishjam_agents.worker.load import LoadMonitor
from fishjam_agents.worker.settings import ShardSettings, WorkersSettings
from fishjam_agents.worker.shard_rooms import ShardRooms
from fishjam_agents.worker.sqlite_claims import default_path
from fishjam_agents.worker.worker_calls import WorkerCalls

if TYPE_CHECKING:
    from fishjam_agents.observe.tracing import CallTracing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BotFactory:
    """Makes the bots of one kind.

    Attributes:
        name: Its name in the file.
        factory: Makes one.
        backend: Its backend.
    """

    name: str
    factory: Callable[[], AgentPipeline]
    backend: Backend

    def __call__(self, room: RoomSnapshot) -> AgentPipeline:
        """Make one for a room, in the task of its call, which the call's other tasks come from."""
        log_room.set(room.id)
        log_bot.set(self.name)
        pipeline = self.factory()
        pipeline.observers.append(EventLog(lambda: pipeline.call_id, room.id, bot=self.name))
        return pipeline


BotFactories: TypeAlias = Mapping[str, BotFactory]
"""Factories of a file's bots, by name."""


def make_bots(settings: Config, *, loads: bool = True) -> BotFactories:
    """Return what makes the bots of a file; each was made once to see that it can be.

    Args:
        settings: The file.
        loads: Whether they run in this process: what their models import is imported now, so that a call that
            is taken over from another process does not wait for it.

    Raises:
        ConfigError: One cannot be made.
    """
    factories = {name: pipeline_factory(settings.bot(name)) for name in settings.bot_names()}
    bots = {}
    for name, factory in factories.items():
        pipeline = factory()
        if loads:
            preload(pipeline)
        bots[name] = BotFactory(name, factory, pipeline.backend)
    return bots


def claims_address(settings: Config) -> str:
    """The store of claims of a file: a path, or the URL of a Redis."""
    claims = settings.workers.claims
    return str(default_path()) if claims is None else claims.address


def open_claims(settings: Config, url: str, owner: str | None = None) -> ProcessClaims | None:
    """Open the store of claims of a file; None where the one in the user's state folder cannot be used.

    Args:
        settings: The file.
        url: Base URL of the Fishjam.
        owner: Name of this process; None makes one.

    Raises:
        ClaimStoreError: The one that the file names cannot be used.
    """
    try:
        return shared_stores.claims_at(claims_address(settings), url, owner)
    except ClaimStoreError as error:
        if settings.workers.claims is not None:
            raise
        logger.warning("other processes are not known to this one, nor it to them: %s", error)
        return None


def open_journals(settings: Config) -> Journals | None:
    """Open the store of the journals of a file; None where it has no `journal`.

    Raises:
        JournalError: It cannot be used.
        MissingExtraError: It needs a library that is not installed.
    """
    return None if settings.journal is None else shared_stores.open_journals(settings.journal)


def shard_rooms(shard: ShardSettings | None) -> ShardRooms | None:
    """Return the rooms of the shard that a file says this machine is; None where it is the only one."""
    if shard is None or shard.number is None:
        return None
    return ShardRooms(shard.number, shard.count, math.inf if shard.takeover is None else shard.takeover)


class RoomsProcess:
    """The parts of one process, and their tasks.

    Args:
        settings: The file.
        bots: What makes its bots.
        url: The Fishjam.
        token: Its management token.
        created: Rooms that were made for its rules.
        claims: Who serves which room; None where nobody else can.
        orphans: Remembers rooms that a crash would leave behind; None remembers nothing.
        renew: Called after a look that misses one of the rooms that were made; `set_created` may follow.
        told: Whether somebody else decides which calls begin, and goes on with those that this process has to
            let go.
        workers: Limits of the process; None takes those of the file.

    Attributes:
        worker: Serves the rooms.
        calls: What the API asks for.
        monitor: How busy the process is.
        reloader: Reads the file again.
    """

    def __init__(
        self,
        settings: Config,
        bots: BotFactories,
        url: str,
        token: str,
        created: Sequence[CreatedRooms],
        claims: Claims | None = None,
        orphans: OrphanedAgents | None = None,
        renew: Callable[[], None] = lambda: None,
        told: bool = False,
        workers: WorkersSettings | None = None,
    ) -> None:
        self._settings = settings
        self._workers = workers or settings.workers
        self._told = told
        self._created = created
        self._renew = renew
        self._latest = settings, bots
        self._metrics = None if settings.api is None else call_metrics()
        self._webhooks = EventWebhooks(settings.observe.webhooks)
        self._tracing: CallTracing | None = None
        self.monitor = LoadMonitor(self._workers)
        self._journals = open_journals(settings)
        self.worker = MultiRoomWorker(
            self._bots(settings, bots),
            fishjam_id=url,
            management_token=token,
            limits=settings.limits,
            max_calls=self._workers.max_calls,
            claims=claims,
            overload=self.monitor.overload,
            journals=self._journals,
            shard=None if told else shard_rooms(settings.workers.shard),
            told=told,
        )
        self.worker.looked.append(self._looked)
        secret = None if settings.api is None else settings.api.token
        self.calls = WorkerCalls(self.worker, self.monitor, secret, orphans, self._measured, told)
        self.reloader = Reloader(settings, make_bots, self._apply)
        _warn_of_limits(settings, bots)
        self._drain: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve rooms until `drain` or `stop`; raises as `MultiRoomWorker.run`."""
        async with (
            self._journals or nullcontext(),
            call_tracing(self._settings.observe.tracing) as self._tracing,
        ):
            await self._run()

    async def _run(self) -> None:
        side = [
            asyncio.create_task(self.monitor.run(), name="load of the process"),
            asyncio.create_task(self.reloader.run(), name="configuration"),
        ]
        try:
            await self.worker.run(self.calls.close)
        finally:
            await self._webhooks.close()
            if self._drain is not None:
                side.append(self._drain)
            for task in side:
                task.cancel()
            await asyncio.gather(*side, return_exceptions=True)

    def drain(self) -> None:
        """Take no new room; end when the calls have, or `workers.drain` is over."""
        self._begin_drain(self._workers.drain, farewell=True)

    def hand_over(self, limit: float) -> None:
        """Take no new room; end when the calls have, or after so many seconds: others go on with the rest."""
        self._begin_drain(limit, farewell=False)

    def _begin_drain(self, limit: float, farewell: bool) -> None:
        if self._drain is None:
            self._drain = asyncio.create_task(self._drained(limit, farewell), name="drain")

    async def _drained(self, limit: float, farewell: bool) -> None:
        await self.worker.drain(limit, farewell)
        self.worker.stop()

    def stop(self) -> None:
        """End now: bots leave their rooms."""
        self.worker.stop()

    def set_created(self, created: Sequence[CreatedRooms]) -> None:
        """Use these rooms from now on for rules that ask for some."""
        self._created = created
        self._use(*self._latest)

    def _looked(self) -> None:
        if any(room_id not in self.worker.rooms for made in self._created for room_id in made.ids):
            self._renew()

    def _apply(self, settings: Config, bots: object) -> None:
        read = cast(BotFactories, bots)
        _warn_of_limits(settings, read)
        self._use(settings, read)
        # Whoever reads the file again may have changed a key.
        self.worker.unpark()

    def _use(self, settings: Config, bots: BotFactories) -> None:
        self._latest = settings, bots
        self.worker.bots = self._bots(settings, bots)
        self.worker.wake()

    def _bots(self, settings: Config, bots: BotFactories) -> Bots:
        rules, missing = resolve(settings.rooms, self._created)
        for rule in () if self._told else missing:
            logger.warning(
                "rooms are made at the start only: restart the program for create: %s of %s",
                rule.create,
                rule.bot,
            )
        return Bots(
            rules,
            {name: partial(self._make, name, make) for name, make in bots.items()},
            {name: make.backend for name, make in bots.items()},
        )

    def _make(
        self, name: str, make: Callable[[RoomSnapshot], AgentPipeline], room: RoomSnapshot
    ) -> AgentPipeline:
        pipeline = make(room)
        if self._metrics is not None:
            self._metrics.observe(pipeline, name)
        self._webhooks.observe(pipeline, room.id, name)
        if self._tracing is not None:
            self._tracing.observe(pipeline, room.id, name)
        return pipeline

    def _measured(self) -> str:
        if self._metrics is None:
            return ""
        from fishjam_agents.observe.metrics import text_of

        return text_of(self._metrics.registry)


def _warn_of_limits(settings: Config, bots: BotFactories) -> None:
    backends: dict[str, Backend] = {}
    for name, make in bots.items():
        backends |= backends_of(name, settings.bot(name), make.backend)
    for sentence in differing_limits(backends):
        logger.warning("%s", sentence)
