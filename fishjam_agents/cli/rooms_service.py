"""Parts of each command that serves the rooms of a file: its Fishjam, the rooms it makes, its welcome."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fishjam_agents.config import Config
from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.worker import OrphanedAgents
from fishjam_agents.worker.created_rooms import CreatedRooms, RoomMaker
from fishjam_agents.worker.worker import check_token


@dataclass(frozen=True, slots=True)
class RoomsFishjam:
    """The Fishjam whose rooms are served.

    Attributes:
        url: Its id, or its URL.
        token: Its management token.
        client: A client of it.
        orphans: Remembers rooms that a crash would leave behind; None where they go with this process.
        rooms: The rooms that rules ask for.
    """

    url: str
    token: str = field(repr=False)
    client: AsyncFishjamClient
    orphans: OrphanedAgents | None
    rooms: RoomMaker


def refuse_metrics_listener(settings: Config) -> None:
    """Refuse a listener for metrics in a file about many rooms.

    Raises:
        ConfigError: The file has one.
    """
    if settings.observe.metrics is not None:
        raise ConfigError(
            f"{settings.where('observe.metrics')}: observe.metrics is for a file about one room: "
            "this one serves /metrics at `api`"
        )


@asynccontextmanager
async def rooms_fishjam(settings: Config) -> AsyncIterator[RoomsFishjam]:
    """Connect to the Fishjam of a file, or run one; deletes what was left there, and makes rooms.

    Raises:
        FishjamAgentsError: It cannot be used.
    """
    async with AsyncExitStack() as stack:
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
        yield RoomsFishjam(url, token, client, orphans, rooms)


def rooms_welcome(url: str, created: Sequence[CreatedRooms], api: str | None) -> str:
    """Return what a command says when it serves.

    Args:
        url: The Fishjam.
        created: Rooms that were made.
        api: URL of the calls API; None where there is none.
    """
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
