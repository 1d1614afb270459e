"""`run CONFIG` of a file about many rooms: bots in all of them, until the program is asked to end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
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
from fishjam_agents.cli.service_signals import service_signals
from fishjam_agents.cli.supervised_calls import SupervisedCalls
from fishjam_agents.cli.supervisor import Supervisor
from fishjam_agents.config import Config
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.observe.log import setup_logging
from fishjam_agents.worker import OrphanedAgents
from fishjam_agents.worker.call_service import CallService
from fishjam_agents.worker.claims import ProcessClaims
from fishjam_agents.worker.created_rooms import CreatedRooms, RoomMaker
from fishjam_agents.worker.shared_stores import journal_store
from fishjam_agents.worker.worker import check_token


def serve_rooms(settings: Config) -> None:
    """Serve the rooms of a file until the program is asked to end.

    Raises:
        FishjamAgentsError: A bot cannot be made, or Fishjam not be used.
    """
    if settings.observe.metrics is not None:
        raise ConfigError(
            f"{settings.where('observe.metrics')}: observe.metrics is for a file about one room: "
            "this one serves /metrics at `api`"
        )
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
    url, token = settings.fishjam.id, settings.fishjam.management_token or ""
    # A server in this process takes its rooms with it, whatever happens.
    orphans: OrphanedAgents | None = None
    if settings.fishjam.id == "local":
        from fishjam_agents.cli.local_server import local_server

        server = await stack.enter_async_context(local_server(settings))
        url, token = server.url, server.token
    else:
        orphans = OrphanedAgents()
    client = await stack.enter_async_context(AsyncFishjamClient(url, token))
    await check_token(client)
    if orphans is not None:
        await orphans.remove(client)
    rooms = await stack.enter_async_context(RoomMaker(client, settings.rooms, orphans))
    claims = open_claims(settings, client.url)
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
        calls = SupervisedCalls(program)
    # For the API, and to see that it can be used: those of the calls are in the processes that serve them.
    store = None if settings.journal is None else journal_store(settings.journal)
    if store is not None:
        stack.push_async_callback(store.close)
    api = None
    if settings.api is not None:
        from fishjam_agents.cli.api_server import api_server

        api = await stack.enter_async_context(api_server(settings.api, calls, store))
    return program, _welcome(url, rooms.created, api)


def _supervisor(
    settings: Config, claims: ProcessClaims | None, url: str, token: str, rooms: RoomMaker
) -> Supervisor:
    if sys.platform == "win32":
        raise ConfigError("workers.processes above 1 needs Linux or macOS: start several programs instead")
    if claims is None:
        raise ConfigError("several processes need a file for their claims: name one in workers.claims")
    address = claims_address(settings)
    supervisor = Supervisor(settings.source, settings.workers.processes, claims, address, url, token, rooms)
    rooms.changed.append(supervisor.set_created)
    return supervisor


def _welcome(url: str, created: Sequence[CreatedRooms], api: str | None) -> str:
    rooms = [f"  Room     {room} for {made.bot}" for made in created for room in made.ids]
    return "\n".join(
        [
            "The bots join their rooms when the first person does.",
            "",
            f"  Fishjam  {url}",
            *rooms,
            *([] if api is None else [f"  API      {api}"]),
            "",
            "Ctrl-C ends the calls.",
        ]
    )
