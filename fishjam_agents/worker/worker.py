"""One bot in one room: get in, run the pipeline, and leave nothing behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends.remote import RemoteBackend, VapiInvitation
from fishjam_agents.errors import ConfigError, FishjamAgentsError, SessionError
from fishjam_agents.fishjam import (
    Agent,
    AgentOptions,
    AgentOutputOptions,
    AgentSession,
    AsyncFishjamClient,
    FishjamNotifier,
    LiveRoom,
    NotFoundError,
    Peer,
    PeerOptionsVapi,
    Reconnected,
    UnauthorizedError,
)
from fishjam_agents.fishjam.notifier import NotifierEvent
from fishjam_agents.fishjam.options import audio_sample_rate
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.worker.bridged_peer import RoomBridgedPeer
from fishjam_agents.worker.call_outcome import REASONS, CallOutcome
from fishjam_agents.worker.limits import CallLimits
from fishjam_agents.worker.managed_resources import managed_resource
from fishjam_agents.worker.one_room_journal import OneRoomJournal
from fishjam_agents.worker.orphaned_agents import Note, OrphanedAgents
from fishjam_agents.worker.settings import LimitSettings, RoomSettings
from fishjam_agents.worker.unanswered import new_agent, new_room

logger = logging.getLogger(__name__)

PeerT = TypeVar("PeerT", Agent, Peer)

ROOM_DEADLINE = 10.0
"""Seconds until it must be known who is in the room."""
DRAIN_DEADLINE = 7.0
"""Seconds from `stop` until the pipeline is cancelled: five are promised to `on_stop` and hooks under way."""


@dataclass(frozen=True, slots=True)
class SharedConnections:
    """Connections to one Fishjam, used by many bots.

    Attributes:
        client: Whose token has been checked.
        notifier: One that somebody else runs, with `reconnect`.
    """

    client: AsyncFishjamClient
    notifier: FishjamNotifier


@dataclass(frozen=True, slots=True)
class JoinedRoom:
    """Room that the bot is in.

    Attributes:
        room_id: Its room.
        peer_id: The bot's own peer.
        made_room: Whether the room was made for it, and goes with it.
    """

    room_id: str
    peer_id: str
    made_room: bool


async def check_token(client: AsyncFishjamClient) -> None:
    """Ask the server whether it takes the client's management token.

    Raises:
        ConfigError: It does not.
        UnreachableError: It cannot be asked.
    """
    try:
        await client.check_credentials()
    except UnauthorizedError as error:
        raise ConfigError(
            "Fishjam rejected the management token: set fishjam.management_token "
            "or FISHJAM_MANAGEMENT_TOKEN to the token of this Fishjam"
        ) from error


class Worker:
    """Puts one bot into one room.

    Args:
        pipeline: The bot.
        fishjam_id: A Fishjam id, or the URL of a Fishjam.
        management_token: Its management token.
        room: Which room; the default makes one.
        limits: What ends the call.
        placed: Called when the bot is in its room.
        orphans: Remembers what a crash would leave behind; None remembers nothing, which suits a server
            that ends with this process.
        shared: Connections that many bots use together; None makes some for this one.
        before_connect: Awaited with the id of the bot's peer before it connects; an error ends the call.
        journal: Where the call is written down, so that the next run goes on with it; None nowhere.
    """

    def __init__(
        self,
        pipeline: AgentPipeline,
        *,
        fishjam_id: str,
        management_token: str,
        room: RoomSettings = RoomSettings(),  # noqa: B008 - frozen
        limits: LimitSettings = LimitSettings(),  # noqa: B008 - frozen
        placed: Callable[[JoinedRoom], None] | None = None,
        orphans: OrphanedAgents | None = None,
        shared: SharedConnections | None = None,
        before_connect: Callable[[str], Awaitable[None]] | None = None,
        journal: OneRoomJournal | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._fishjam_id = fishjam_id
        self._management_token = management_token
        self._room = room
        self._limits = limits
        self._placed = placed
        self._orphans = orphans
        self._shared = shared
        self._before_connect = before_connect
        self._journal = journal
        self._occupied: Sequence[str] = ()
        self._task: asyncio.Task[CallOutcome] | None = None
        self._ending: CallOutcome | None = None
        self._leaving = False

    async def run(self) -> CallOutcome:
        """Be in the room until the call ends; the agent, and a room that was made, are deleted in any case.

        Returns:
            Why the call ended.

        Raises:
            ConfigError: The token is rejected or the room does not exist.
            UnreachableError: The server cannot be reached.
            SessionError: The server ended the session or went away.
            BackendError: The backend failed for good.
        """
        if self._was_stopped():
            return CallOutcome.STOPPED
        self._task = asyncio.create_task(self._work(), name="worker")
        try:
            return await self._task
        except asyncio.CancelledError:
            # `stop` cancels the work where there is no call to end yet; that is no cancellation of ours.
            caller = asyncio.current_task()
            if not self._was_stopped() or caller is None or caller.cancelling():
                raise
            return CallOutcome.STOPPED

    def stop(self) -> None:
        """Leave the room: the bot falls silent at once, then hooks and connections get their time to end."""
        self._end(CallOutcome.STOPPED)

    def _was_stopped(self) -> bool:
        return self._ending is CallOutcome.STOPPED

    def _end(self, ending: CallOutcome) -> None:
        if self._ending is not None:
            return
        self._ending = ending
        if self._task is None or self._leaving:
            return
        if self._pipeline.call_id is None:
            self._task.cancel()
        else:
            self._pipeline.stop(REASONS[ending])
            asyncio.get_running_loop().call_later(DRAIN_DEADLINE, self._give_up)

    def _give_up(self) -> None:
        if self._task is not None and not self._leaving:
            logger.warning("the bot did not end its call within %g s and was cut off", DRAIN_DEADLINE)
            self._task.cancel()

    async def _work(self) -> CallOutcome:
        self._pipeline.verify()
        async with (
            self._client() as client,
            self._place(client) as room_id,
            self._follow(client, room_id) as feed,
        ):
            if self._journal is not None:
                await self._journal.open(self._pipeline, client.url, feed)
            if isinstance(self._pipeline.backend, RemoteBackend):
                await self._pipeline.attend(lambda wanted: self._invite(client, feed, wanted), feed)
            else:
                await self._speak(client, feed)
        outcome = self._ending or CallOutcome.FINISHED
        if self._journal is not None:
            self._journal.end(outcome, made_room=self._room.id is None)
        return outcome

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncFishjamClient]:
        if self._shared is not None:
            yield self._shared.client
            return
        async with AsyncFishjamClient(self._fishjam_id, self._management_token) as client:
            await self._check(client)
            if self._orphans is not None:
                self._occupied = await self._orphans.remove(client)
            yield client

    async def _speak(self, client: AsyncFishjamClient, feed: LiveRoom) -> None:
        async with (
            self._agent(client, feed.id) as agent,
            agent.connect(
                reconnect=self._limits.reconnect > 0,
                refresh=lambda: client.refresh_peer_token(feed.id, agent.id),
                give_up_after=self._limits.reconnect,
            ) as session,
            self._limited(feed, agent.id),
            self._hurried(session, feed),
        ):
            await self._pipeline.run(
                session,
                input_format=AudioFormat(audio_sample_rate(self._pipeline.backend.capabilities.input_rate)),
                room=feed,
            )

    @asynccontextmanager
    async def _hurried(self, session: AgentSession, feed: LiveRoom) -> AsyncIterator[None]:
        """Let a session that was lost hurry when the room is heard of again."""

        def told(event: NotifierEvent) -> None:
            if isinstance(event, Reconnected):
                session.hurry()

        if self._shared is None:
            feed.on("reconnected", session.hurry)
            yield
            return
        unsubscribe = self._shared.notifier.subscribe(told, feed.id)
        try:
            yield
        finally:
            unsubscribe()

    @asynccontextmanager
    async def _invite(
        self, client: AsyncFishjamClient, feed: LiveRoom, wanted: VapiInvitation
    ) -> AsyncIterator[RoomBridgedPeer]:
        """Bring a model into the room that Fishjam itself connects; leaving the context removes it."""
        options = PeerOptionsVapi(wanted.api_key, wanted.call_id, auto_close=wanted.auto_close)
        async with self._removed_at_end(client, feed.id, client.create_vapi_agent(feed.id, options)) as peer:
            bridged = RoomBridgedPeer(peer.id, feed)
            try:
                async with self._limited(feed, peer.id):
                    yield bridged
            finally:
                bridged.close()

    @asynccontextmanager
    async def _limited(self, feed: LiveRoom, peer_id: str) -> AsyncIterator[None]:
        """The bot is in its room: its call begins."""
        if self._placed is not None:
            self._placed(JoinedRoom(feed.id, peer_id, self._room.id is None))
        limits = CallLimits(self._limits, feed, self._end)
        limits.start()
        try:
            yield
        finally:
            self._leaving = True
            limits.close()

    async def _check(self, client: AsyncFishjamClient) -> None:
        await check_token(client)
        try:
            if self._room.id is not None:
                await client.get_room(self._room.id)
        except NotFoundError as error:
            raise ConfigError(
                f"there is no room {self._room.id!r} on this Fishjam: correct room.id, or leave it out "
                "to make a room"
            ) from error

    @asynccontextmanager
    async def _place(self, client: AsyncFishjamClient) -> AsyncIterator[str]:
        if self._room.id is not None:
            yield self._room.id
            return
        note: Note | None = None

        async def make() -> str:
            nonlocal note
            room_id = None
            if self._journal is not None:
                room_id = await self._journal.left_behind(client.url, self._occupied)
            if room_id is None:
                async with new_room(client):
                    room_id = (await client.create_room()).id
            if self._orphans is not None:
                # Before its agent is made: until that is noted, too, a crash would leave the room behind.
                note = self._orphans.note(client.url, room_id, None, made_room=True)
            return room_id

        async def remove(room_id: str) -> None:
            await client.delete_room(room_id)
            if note is not None:
                note.forget()

        try:
            async with managed_resource("the room", make(), remove) as room_id:
                yield room_id
        finally:
            if note is not None:
                note.close()

    def _agent(self, client: AsyncFishjamClient, room_id: str) -> AbstractAsyncContextManager[Agent]:
        options = AgentOptions(
            output=AgentOutputOptions(
                audio_sample_rate=audio_sample_rate(self._pipeline.backend.capabilities.input_rate)
            )
        )
        return self._removed_at_end(client, room_id, client.create_agent(room_id, options))

    @asynccontextmanager
    async def _removed_at_end(
        self, client: AsyncFishjamClient, room_id: str, creation: Coroutine[Any, Any, PeerT]
    ) -> AsyncIterator[PeerT]:
        """The bot's peer: noted while it is there, removed in any case."""
        made_room = self._room.id is None
        note: Note | None = None

        async def make() -> PeerT:
            nonlocal note
            async with new_agent(client, room_id):
                peer = await creation
            if self._orphans is not None:
                note = self._orphans.note(client.url, room_id, peer.id, made_room=made_room)
            return peer

        async def remove(peer: PeerT) -> None:
            await client.delete_peer(room_id, peer.id)
            if note is not None:
                note.forget()

        try:
            async with managed_resource("the agent", make(), remove) as peer:
                if self._before_connect is not None:
                    await self._before_connect(peer.id)
                yield peer
        finally:
            if note is not None:
                note.close()

    @asynccontextmanager
    async def _follow(self, client: AsyncFishjamClient, room_id: str) -> AsyncIterator[LiveRoom]:
        notifier = None if self._shared is None else self._shared.notifier
        feed = LiveRoom(client, room_id, notifier=notifier)
        following = asyncio.create_task(feed.run(), name=f"follow {room_id}")
        try:
            await self._known(feed, following)
            following.add_done_callback(self._no_longer_followed)
            yield feed
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _known(self, feed: LiveRoom, following: asyncio.Task[None]) -> None:
        ready = asyncio.create_task(feed.ready(), name="room ready")
        try:
            done, _ = await asyncio.wait(
                {ready, following}, timeout=ROOM_DEADLINE, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if following in done and not ready.done():
            error = following.exception()
            raise SessionError(f"the room cannot be followed ({error}): start the bot again") from error
        if not done:
            raise SessionError(
                f"the server did not tell who is in the room within {ROOM_DEADLINE:g} s: is it overloaded?"
            )

    def _no_longer_followed(self, following: asyncio.Task[None]) -> None:
        if following.cancelled() or self._leaving:
            return
        error = following.exception()
        if error is None:
            # The room was deleted; the agent's own socket says so, too.
            return
        if isinstance(error, FishjamAgentsError):
            logger.error("it is no longer known who joins and leaves the room (%s): the call goes on", error)
        else:
            logger.error("following the room failed: the call goes on", exc_info=error)
