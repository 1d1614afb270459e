"""`run CONFIG` of a file about many rooms: bots in all of them, until the program is asked to end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.cli.rooms_process import (
    BotFactories,
    RoomsProcess,
    claims_address,
    make_bots,
    open_claims,
)
from fishjam_agents.cli.rooms_service import refuse_metrics_listener, rooms_fishjam, rooms_welcome
from fishjam_agents.cli.service_signals import service_signals
from fishjam_agents.cli.supervised_calls import SupervisedCalls
from fishjam_agents.cli.supervisor import Supervisor
from fishjam_agents.cli.tracing import require_opentelemetry
from fishjam_agents.config import Config
from fishjam_agents.errors import ConfigError
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.worker.call_service import CallService
from fishjam_agents.worker.claims import ProcessClaims
from fishjam_agents.worker.created_rooms import RoomMaker
from fishjam_agents.worker.shared_stores import journal_store


def serve_rooms(settings: Config) -> None:
    """Serve the rooms of a file until the program is asked to end.

    Raises:
        FishjamAgentsError: A bot cannot be made, or Fishjam not be used.
    """
    refuse_metrics_listener(settings)
    if settings.observe.tracing is not None:
        # Worker processes would say so, and be started again, for ever.
        require_opentelemetry()
    bots = make_bots(settings, loads=settings.workers.processes == 1)
    setup_logging(settings.log, settings.secrets)
    run_on_loop(_serve(settings, bots))


async def _serve(settings: Config, bots: BotFactories) -> None:
    program: RoomsProcess | Supervisor | None = None
    task = asyncio.current_task()
    assert task is not None

    def drain() -> None:
        say(f"No new rooms are taken; calls have {settings.workers.drain:g} s to end.")
        if program is None:
            task.cancel()
        else:
            program.drain()

    def stop() -> None:
        say("goodbye")
        if program is None:
            task.cancel()
        else:
            program.stop()

    def reload() -> None:
        if isinstance(program, RoomsProcess):
            program.reloader.reload()
        elif program is not None:
            program.reload()

    with service_signals(drain, stop, reload):
        try:
            async with AsyncExitStack() as stack:
                program, welcome = await _program(settings, bots, stack)
                say(welcome)
                freeze_gc()
                await program.run()
        except asyncio.CancelledError:
            # It was asked to end while it began.
            if program is not None:
                raise


async def _program(
    settings: Config, bots: BotFactories, stack: AsyncExitStack
) -> tuple[RoomsProcess | Supervisor, str]:
    """Make the service of the rooms, and its welcome; `stack` takes what is to be undone at the end."""
    fishjam = await stack.enter_async_context(rooms_fishjam(settings))
    url, token, rooms, orphans = fishjam.url, fishjam.token, fishjam.rooms, fishjam.orphans
    claims = open_claims(settings, fishjam.client.url)
    if claims is not None:
        stack.push_async_callback(claims.close)
    program: RoomsProcess | Supervisor
    calls: CallService
    if settings.workers.processes == 1:
        program = RoomsProcess(settings, bots, url, token, rooms.created, claims, orphans, rooms.renew)
        rooms.changed.append(program.set_created)
        calls = program.calls
    else:
        program = _supervisor(settings, claims, url, token, rooms)
        supervised = SupervisedCalls(program, None if settings.api is None else settings.api.token)
        stack.push_async_callback(supervised.close)
        calls = supervised
    # For the API, and to see that it can be used: those of the calls are in the processes that serve them.
    store = None if settings.journal is None else journal_store(settings.journal)
    if store is not None:
        stack.push_async_callback(store.close)
    api = None
    if settings.api is not None:
        from fishjam_agents.cli.api_server import api_server

        api = await stack.enter_async_context(api_server(settings.api, calls, store))
    return program, rooms_welcome(url, rooms.created, api)


def _supervisor(
    settings: Config, claims: ProcessClaims | None, url: str, token: str, rooms: RoomMaker
) -> Supervisor:
    if sys.platform == "win32":
        raise ConfigError("workers.processes above 1 needs Linux or macOS: start several programs instead")
    if claims is None:
        raise ConfigError("several processes need a file for their claims: name one in workers.claims")
    address = claims_address(settings)
    supervisor = Supervisor(
        settings.source, settings.log, settings.workers.processes, claims, address, url, token, rooms
    )
    rooms.changed.append(supervisor.set_created)
    return supervisor
