"""`run CONFIG` of a file about many rooms: bots in all of them, until the program is asked to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from fishjam_agents.cli.interrupts import interrupts
from fishjam_agents.cli.loops import freeze_gc, run_on_loop
from fishjam_agents.cli.output import say
from fishjam_agents.config import Config, pipeline_factory
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.observe.log import EventLog, setup_logging
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker import Bots, MultiRoomWorker, OrphanedAgents, RoomRule, RoomSnapshot
from fishjam_agents.worker.created_rooms import created_rooms


def serve_rooms(settings: Config) -> None:
    """Serve the rooms of a file until the program is asked to end.

    Raises:
        FishjamAgentsError: A bot cannot be made, or Fishjam not be used.
    """
    bots = make_bots(settings)
    setup_logging(settings.log)
    run_on_loop(_serve(settings, bots))


async def _serve(settings: Config, bots: Mapping[str, Callable[[RoomSnapshot], AgentPipeline]]) -> None:
    async with AsyncExitStack() as stack:
        url, token = settings.fishjam.id, settings.fishjam.management_token or ""
        if settings.fishjam.id == "local":
            from fishjam_agents.cli.local_server import local_server

            server = await stack.enter_async_context(local_server(settings))
            url, token = server.url, server.token
        program = RoomsProgram(settings, bots, url, token)

        def leave() -> None:
            program.leave()
            say("goodbye")

        with interrupts(leave):
            await program.run()


def make_bots(settings: Config) -> Mapping[str, Callable[[RoomSnapshot], AgentPipeline]]:
    """Return what makes the bots of a file, by their names; each was made once to see that it can be.

    Raises:
        ConfigError: One cannot be made.
    """
    factories = {name: pipeline_factory(settings.bot(name)) for name in settings.bot_names()}
    for factory in factories.values():
        factory()
    return {name: partial(_in_room, factory) for name, factory in factories.items()}


def _in_room(factory: Callable[[], AgentPipeline], room: RoomSnapshot) -> AgentPipeline:
    pipeline = factory()
    pipeline.observers.append(EventLog(lambda: pipeline.call_id, room.id))
    return pipeline


class RoomsProgram:
    """One run of the command, in one process.

    Args:
        settings: The file.
        bots: What makes its bots.
        url: The Fishjam.
        token: Its management token.
    """

    def __init__(
        self,
        settings: Config,
        bots: Mapping[str, Callable[[RoomSnapshot], AgentPipeline]],
        url: str,
        token: str,
    ) -> None:
        self._settings = settings
        self._bots = bots
        self._url = url
        self._token = token
        self._worker: MultiRoomWorker | None = None

    async def run(self) -> None:
        """Serve rooms until `leave`."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(AsyncFishjamClient(self._url, self._token))
            local = settings.fishjam.id == "local"
            # A server in this process takes its rooms with it, whatever happens.
            orphans = None if local else OrphanedAgents()
            if orphans is not None:
                await orphans.remove(client)
            rules = await stack.enter_async_context(created_rooms(client, settings.rooms, orphans))
            self._worker = MultiRoomWorker(
                Bots(rules, self._bots),
                fishjam_id=self._url,
                management_token=self._token,
                limits=settings.limits,
                max_calls=settings.workers.max_calls,
            )
            say(_welcome(self._url, settings.rooms, rules))
            freeze_gc()
            await self._worker.run()

    def leave(self) -> None:
        """End at once: bots leave their rooms."""
        if self._worker is not None:
            self._worker.stop()


def _welcome(url: str, asked: tuple[RoomRule, ...], made: tuple[RoomRule, ...]) -> str:
    rooms = [
        f"  Room     {room} for {rule.bot}"
        for wanted, rule in zip(asked, made, strict=True)
        if wanted.create is not None
        for room in rule.id
    ]
    return "\n".join(
        [
            "The bots join their rooms when the first person does.",
            "",
            f"  Fishjam  {url}",
            *rooms,
            "",
            "Ctrl-C ends the calls.",
        ]
    )
