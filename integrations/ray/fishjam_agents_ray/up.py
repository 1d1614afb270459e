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
from fishjam_agents.cli.rooms_process import make_bots
from fishjam_agents.cli.rooms_service import rooms_fishjam, rooms_welcome
from fishjam_agents.cli.service_signals import service_signals
from fishjam_agents.config import Config, load_config
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.server.address import authority
from fishjam_agents.worker.multi_room import LAST_WORDS
from fishjam_agents_ray import environment
from fishjam_agents_ray.reports import LedgerView, Order
from fishjam_agents_ray.service import check_for_ray

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
    check_for_ray(settings)
    # To say what is wrong with one before Ray is started.
    make_bots(settings, loads=False)
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
        fishjam = await stack.enter_async_context(rooms_fishjam(settings))
        url, created = fishjam.client.url, fishjam.rooms.created
        application = build(Service(APPLICATION, settings.source.resolve(), url, fishjam.token, created))

        def deploy() -> None:
            serve.start(proxy_location=ProxyLocation.Disabled)
            serve.run(application, name=APPLICATION, route_prefix=None)

        try:
            await asyncio.to_thread(deploy)
        except Exception as error:
            # Serve raises bare errors, with the traceback of the replica in their words.
            raise FishjamAgentsError(f"Ray Serve does not start the service: {error}") from error
        ledger = LedgerHandle(APPLICATION)
        await self._rules(ledger)
        if not self._asked.is_set():
            api = settings.api
            say(
                rooms_welcome(
                    url, created, None if api is None else f"http://{authority(api.host, api.port)}"
                )
            )
        await self._asked.wait()
        if self._order == "drain":
            await self._calls_end(ledger, "drain", settings.workers.drain + LAST_WORDS)
            self._order = "stop"
        await self._calls_end(ledger, "stop", LAST_SECONDS)
        with suppress(Exception):
            await asyncio.to_thread(serve.shutdown)

    async def _rules(self, ledger: LedgerHandle) -> None:
        """Wait until a watcher rules, or the program is asked to end."""
        while not self._asked.is_set():
            view: LedgerView = await ledger.ask("read", deadline=START_DEADLINE)
            if view.settled:
                return
            await asyncio.sleep(CALLS_INTERVAL)

    async def _calls_end(self, ledger: LedgerHandle, order: Order, limit: float) -> None:
        """Have calls ended; wait until none is left, another order came, or the time is over."""
        until = time.monotonic() + limit
        while time.monotonic() < until and self._order == order:
            try:
                # Again and again: a ledger that was lost meanwhile knows neither orders nor calls.
                await ledger.ask("give_order", order)
                view: LedgerView = await ledger.ask("read")
            except FishjamAgentsError as error:
                logger.warning("%s", error)
            else:
                if not view.is_new and not any(
                    call.holds_room for report in view.reports.values() for call in report.calls
                ):
                    return
            await asyncio.sleep(CALLS_INTERVAL)
