"""`fishjam-agents ray up CONFIG`: the service on a Ray of this machine, until the program is asked to end."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fishjam_agents.cli.loops import run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.cli.service_signals import service_signals
from fishjam_agents.config import Config, load_config
from fishjam_agents.errors import ConfigError, FishjamAgentsError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.worker import OrphanedAgents
from fishjam_agents.worker.created_rooms import RoomMaker
from fishjam_agents.worker.multi_room import LAST_WORDS
from fishjam_agents.worker.worker import check_token
from fishjam_agents_ray import environment
from fishjam_agents_ray.reports import LedgerView, Order

if TYPE_CHECKING:
    from fishjam_agents_ray.handles import LedgerHandle

logger = logging.getLogger(__name__)

START_DEADLINE = 30.0
"""Seconds that the ledger has to start."""
LAST_SECONDS = 10.0
"""Seconds that bots have to leave when the time to drain is over."""
CALLS_INTERVAL = 0.25
"""Seconds between two looks at the calls that are left."""


def serve_here(config: Path) -> None:
    """Serve the rooms of a file until the program is asked to end.

    Raises:
        FishjamAgentsError: The file cannot be used, Ray not be started, or Fishjam not be used.
    """
    settings = load_config(config)
    if not settings.is_multi_room:
        raise ConfigError(f"{config} is about one room: Ray is for many, add rooms (`rooms: every`) or api")
    environment.prepare(one_machine=True)
    # A token of this run, which no file keeps.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # What comes from here on counts for Ray's processes, too.
    import ray

    setup_logging(settings.log, settings.secrets)
    try:
        ray.init(include_dashboard=False, log_to_driver=True, logging_level=logging.WARNING)
    except Exception as error:
        # Ray raises what it likes, a bare Exception where a busy machine lets it start too slowly.
        raise FishjamAgentsError(f"Ray does not start: {error}") from error
    try:
        run_on_loop(_Up(settings).run())
    finally:
        ray.shutdown()


class _Up:
    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._asked = asyncio.Event()
        self._order: Order = "serve"

    async def run(self) -> None:
        with service_signals(self._drain, self._stop, lambda: None):
            async with AsyncExitStack() as stack:
                await self._serve(stack)

    def _drain(self) -> None:
        say(f"No new rooms are taken; calls have {self._settings.workers.drain:g} s to end.")
        self._order = "drain"
        self._asked.set()

    def _stop(self) -> None:
        say("goodbye")
        self._order = "stop"
        self._asked.set()

    async def _serve(self, stack: AsyncExitStack) -> None:
        from ray import serve
        from ray.serve.config import ProxyLocation

        from fishjam_agents_ray.app import build
        from fishjam_agents_ray.handles import LedgerHandle
        from fishjam_agents_ray.names import APPLICATION
        from fishjam_agents_ray.service import Service

        settings = self._settings
        url, token = settings.fishjam.id, settings.fishjam.management_token or ""
        orphans: OrphanedAgents | None = None
        if settings.fishjam.id == "local":
            from fishjam_agents.cli.local_server import local_server

            server = await stack.enter_async_context(local_server(settings))
            url, token = server.url, server.token
        else:
            orphans = OrphanedAgents()
        client = await stack.enter_async_context(AsyncFishjamClient(url, token))
        await check_token(client)
        rooms = await stack.enter_async_context(RoomMaker(client, settings.rooms, orphans))
        service = Service(APPLICATION, settings.source.resolve(), client.url, token, rooms.created)

        def deploy() -> None:
            serve.start(proxy_location=ProxyLocation.Disabled)
            serve.run(build(service), name=APPLICATION, route_prefix=None)

        await asyncio.to_thread(deploy)
        ledger = LedgerHandle(APPLICATION)
        await self._rules(ledger)
        say(_welcome(settings, client.url, [room for made in rooms.created for room in made.ids]))
        await self._asked.wait()
        try:
            if self._order == "drain":
                await ledger.ask("give_order", "drain")
                await self._calls_end(ledger, settings.workers.drain + LAST_WORDS)
            await ledger.ask("give_order", "stop")
            await self._calls_end(ledger, LAST_SECONDS)
        except FishjamAgentsError as error:
            logger.warning("the bots are cut off: %s", error)
        with suppress(Exception):
            await asyncio.to_thread(serve.shutdown)

    async def _rules(self, ledger: LedgerHandle) -> None:
        """Wait until a watcher rules, or the program is asked to end."""
        while not self._asked.is_set():
            view: LedgerView = await ledger.ask("read", deadline=START_DEADLINE)
            if view.settled:
                return
            await asyncio.sleep(CALLS_INTERVAL)

    async def _calls_end(self, ledger: LedgerHandle, limit: float) -> None:
        until = time.monotonic() + limit
        was = self._order
        while time.monotonic() < until and self._order == was:
            view: LedgerView = await ledger.ask("read")
            if not any(call.holds_room for report in view.reports.values() for call in report.calls):
                return
            await asyncio.sleep(CALLS_INTERVAL)


def _welcome(settings: Config, url: str, rooms: list[str]) -> str:
    api = settings.api
    return "\n".join(
        [
            "The bots join their rooms when the first person does.",
            "",
            f"  Fishjam  {url}",
            *(f"  Room     {room}" for room in rooms),
            *([] if api is None else [f"  API      http://{api.host}:{api.port}"]),
            "",
            "Ctrl-C ends the calls.",
        ]
    )
