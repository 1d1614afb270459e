"""A room of an embedded server for browsers, and bots in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from fishjam_agents.events import Event
from fishjam_agents.fishjam import AsyncFishjamClient
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.worker.settings import RoomSettings
from fishjam_agents.worker.worker import Worker
from tests.browser.client_page import PATIENCE, ClientPage, PageError, Said


class RunningBot:
    """A bot that is in a room.

    Attributes:
        pipeline: The bot.
        events: Its events so far.
    """

    def __init__(self, pipeline: AgentPipeline) -> None:
        self.pipeline = pipeline
        self.events: list[Event] = []
        self.peer_id = ""
        self._changed = asyncio.Event()

    def observe(self, event: Event) -> None:
        """Note an event."""
        self.events.append(event)
        self._changed.set()

    def of(self, kind: str) -> list[Any]:
        """Its events of a kind."""
        return [event for event in self.events if event.kind == kind]

    async def until(self, kind: str, count: int = 1) -> Any:
        """Wait until there have been so many events of a kind; the latest of them.

        Raises:
            TimeoutError: There were not in time; the message has the kinds there were.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.of(kind)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise TimeoutError(f"not {count} {kind}: {[event.kind for event in self.events]}") from error
        return self.of(kind)[-1]


async def answered(
    page: ClientPage, bot: RunningBot, samples: npt.NDArray[np.int16], *listeners: ClientPage
) -> Said:
    """Say something to a parrot until everybody has heard it repeat that; what was said last.

    On a machine with other work to do sound has holes now and then, so it is said up to three times.

    Raises:
        PageError: It was never heard.
    """
    for again in (True, True, False):
        replies = len(bot.of("reply_ended"))
        said = await page.say(samples)
        await bot.until("reply_ended", replies + 1)
        try:
            for listener in (page, *listeners):
                await listener.until_heard(samples, bot.peer_id, patience=4.0)
            break
        except PageError:
            if not again:
                raise
    return said


class BrowserRoom:
    """A room, and what a backend does in it.

    Attributes:
        server: The embedded server.
        client: Its REST API.
        id: The room.
    """

    def __init__(self, server: EmbeddedServer, client: AsyncFishjamClient, room_id: str) -> None:
        self.server = server
        self.client = client
        self.id = room_id

    async def token(self) -> tuple[str, str]:
        """Id and token of a new peer."""
        peer, token = await self.client.create_peer(self.id)
        return peer.id, token

    async def peer(self, peer_id: str) -> Any:
        """A peer as the REST API shows it, None where it is not in the room."""
        room = await self.client.get_room(self.id)
        return next((peer for peer in room.peers if peer.id == peer_id), None)

    async def until_peer(self, peer_id: str, condition: Callable[[Any], bool]) -> Any:
        """Wait until a peer, as the REST API shows it, is as it should be."""
        async with asyncio.timeout(PATIENCE):
            while not condition(peer := await self.peer(peer_id)):  # noqa: ASYNC110 - REST has no events
                await asyncio.sleep(0.05)
        return peer

    @asynccontextmanager
    async def bot(self, pipeline: AgentPipeline) -> AsyncIterator[RunningBot]:
        """A bot that is in the room, and leaves with the context."""
        bot = RunningBot(pipeline)
        pipeline.observers.append(bot.observe)
        worker = Worker(
            pipeline,
            fishjam_id=self.server.url,
            management_token=self.server.token,
            room=RoomSettings(id=self.id),
        )
        working = asyncio.create_task(worker.run())
        try:
            await bot.until("call_started")
            peers = (await self.client.get_room(self.id)).peers
            bot.peer_id = next(peer.id for peer in peers if peer.type.value == "agent")
            yield bot
        finally:
            worker.stop()
            await working


@asynccontextmanager
async def browser_room(origin: str | None = None, **options: Any) -> AsyncIterator[BrowserRoom]:
    """A room of a server with these options, for pages of an origin, or of nobody's."""
    async with (
        EmbeddedServer(allowed_origins=[] if origin is None else [origin], **options) as server,
        AsyncFishjamClient(server.url, server.token) as client,
    ):
        room = await client.create_room()
        yield BrowserRoom(server, client, room.id)
