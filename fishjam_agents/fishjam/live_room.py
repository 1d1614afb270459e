"""A room's live state and its events: the truth over REST, looked up whenever a notification says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from ..backoff import Backoff
from ..errors import ProtocolError
from ..protocol.generated.notifications import ServerMessagePeerCrashed, ServerMessageVadNotification
from ..race import race, until_ready
from ..session import PeerView
from .client import AsyncFishjamClient
from .emitter import QUEUE_LIMIT, Emitter, Handler
from .errors import InternalServerError, NotFoundError, ServiceUnavailableError, UnreachableError
from .live_events import ConnectionState, check_event
from .live_state import Change, LiveTrack, RoomState, changes, state_of
from .models import Room
from .notifier import FishjamNotifier, NotifierEvent
from .reconnect import Disconnected, Reconnected

RESYNC_INTERVAL = 30.0
"""Seconds after which the room is looked up even if nothing was told."""

HANDLER_PATIENCE = 2.0
"""Seconds handlers have for the last events when a room is left."""

_SPEECH = 2
"""`VadNotification.status` of a track with speech (Fishjam protos, `server_notifications.proto`)."""

_PASSING = (UnreachableError, ServiceUnavailableError, InternalServerError, ProtocolError)

_log = logging.getLogger(__name__)


class LiveRoom:
    """One Fishjam room: who is in it, what they publish, and what happens. A `session.RoomView`.

        async with LiveRoom(client, room_id) as room:

            @room.on("track_published")
            async def published(track, peer): ...

    Events are the differences between two lookups of the room, and a lookup follows every notification and
    every reconnect: none that the room still shows can be lost, and none comes twice. What came and went
    between two lookups is not told.

    Handlers are functions or coroutine functions, called one after the other in the order of events;
    `live_events.ROOM_EVENTS` names the events and what handlers are given.

    Attributes:
        id: The room's id.
    """

    def __init__(
        self,
        client: AsyncFishjamClient,
        room_id: str,
        *,
        notifier: FishjamNotifier | None = None,
        backoff: Backoff | None = None,
        resync_interval: float = RESYNC_INTERVAL,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """Does nothing until `run` or `async with`.

        Args:
            client: Used for the lookups; stays the caller's to close.
            room_id: The room.
            notifier: One that somebody else runs, so that many rooms share a connection; None opens one.
            backoff: Waits between failed attempts.
            resync_interval: Seconds after which to look even if nothing was told.
            queue_limit: Events that may wait for slow handlers.
        """
        self.id = room_id
        self._client = client
        self._shared = notifier
        self._backoff = backoff or Backoff()
        self._resync_interval = resync_interval
        self._room: Room | None = None
        self._state = RoomState()
        self._connection_state = ConnectionState.DISCONNECTED
        self._speaking: dict[tuple[str, str], None] = {}
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._emitter = Emitter(f"room {room_id}", queue_limit)
        self._known = asyncio.Event()
        self._wake = asyncio.Event()
        self._leaving = False
        self._epoch = 0
        self._entered: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"LiveRoom({self.id!r}, {self._connection_state.value}, {len(self.peers)} peers)"

    # --- state ---

    @property
    def name(self) -> str:
        """The room's id: Fishjam's rooms have no other name."""
        return self.id

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Data of the server about the room beyond its configuration and peers; Fishjam keeps no metadata."""
        return {} if self._room is None else self._room.additional_properties

    @property
    def room(self) -> Room | None:
        """The room as REST told it last, with its configuration; None before the first lookup."""
        return self._room

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of the last lookup. A new mapping after every change."""
        return self._state.peers

    @property
    def tracks(self) -> Mapping[str, LiveTrack]:
        """Track id to track, of all peers."""
        return self._state.tracks

    @property
    def active_speakers(self) -> tuple[PeerView, ...]:
        """Peers on whose tracks the server hears speech, the first to speak first."""
        ids = dict.fromkeys(peer_id for peer_id, _ in self._speaking)
        return tuple(self.peers[peer_id] for peer_id in ids if peer_id in self.peers)

    @property
    def connection_state(self) -> ConnectionState:
        """State of the connection by which the room is known."""
        return self._connection_state

    @property
    def is_connected(self) -> bool:
        """True while `connection_state` is `CONNECTED`."""
        return self._connection_state is ConnectionState.CONNECTED

    # --- who is told ---

    def on(self, event: str, handler: Handler | None = None) -> Any:
        """Call a handler at every such event: `@room.on("peer_connected")`, or with the handler given.

        Raises:
            ConfigError: There is no such event.
        """
        check_event(event)
        if handler is not None:
            return self._emitter.on((event,), handler)
        return lambda handler: self._emitter.on((event,), handler)

    def off(self, event: str, handler: Callable[..., Any]) -> None:
        """Undo `on`."""
        self._emitter.off((event,), handler)

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of `peers`, at once; returns the function that ends it."""
        key = object()
        self._callbacks[key] = changed

        def end() -> None:
            self._callbacks.pop(key, None)

        return end

    # --- following ---

    async def ready(self) -> None:
        """Wait until the room is known. If `run` fails before that, it is `run` that raises."""
        await self._known.wait()

    def leave(self) -> None:
        """Stop following the room: `run` returns once handlers have seen what happened until now."""
        self._leaving = True
        self._wake.set()

    async def run(self) -> None:
        """Keep the state up to date until `leave` or cancellation; returns, too, when the room is deleted.

        A lost connection is made anew, as long as it takes. While it is down `peers` stays as it was.

        Raises:
            NotFoundError: There is no such room from the start.
            HTTPError: The server refuses for a reason that does not pass, such as a wrong token.
            NotifierAuthError: The server does not take the token on the notification socket.
        """
        self._leaving = False
        self._set_state(ConnectionState.CONNECTING)
        notifier = self._shared or self._client.notifier()
        unsubscribe = notifier.subscribe(self._notified, self.id)
        handlers = asyncio.create_task(self._emitter.run(), name=f"handlers of room {self.id}")
        error: Exception | None = None
        try:
            if self._shared is None:
                notifier.reconnect = True
                await self._follow_alone(notifier)
            else:
                await self._follow(notifier)
        except Exception as raised:
            # Whatever it is, `disconnected` tells it.
            error = raised
            raise
        finally:
            unsubscribe()
            self._set_state(ConnectionState.DISCONNECTED)
            self._emit("disconnected", error)
            self._emitter.finish()
            try:
                await asyncio.wait({handlers}, timeout=HANDLER_PATIENCE)
            finally:
                handlers.cancel()
                await asyncio.gather(handlers, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """Follow the room in a task until the context is left, and wait until the room is known.

        Raises:
            NotFoundError: There is no such room.
            HTTPError: The server refuses for a reason that does not pass, such as a wrong token.
            NotifierAuthError: The server does not take the token on the notification socket.
        """
        self._entered = asyncio.create_task(self.run(), name=f"room {self.id}")
        try:
            await until_ready(self._entered, self.ready())
        except BaseException:
            # Also where whoever enters is cancelled.
            self._entered.cancel()
            await asyncio.gather(self._entered, return_exceptions=True)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered, self._entered = self._entered, None
        if entered is not None:
            self.leave()
            await asyncio.gather(entered, return_exceptions=True)
            if kind is None and not entered.cancelled():
                entered.result()

    async def _follow_alone(self, notifier: FishjamNotifier) -> None:
        # With `reconnect` the connection only ends with an error.
        await race(f"room {self.id}", notifier=notifier.connect(), lookups=self._follow(notifier))

    async def _follow(self, notifier: FishjamNotifier) -> None:
        """Look up the room until it is deleted or left."""
        failures = 0
        # Subscribed before the first lookup, so that nothing falls between the two.
        await self._either(notifier.wait_ready())
        while not self._leaving:
            self._wake.clear()
            pause = self._resync_interval
            epoch = self._epoch
            try:
                room = await self._client.get_room(self.id)
            except NotFoundError:
                if not self._known.is_set():
                    raise
                self._replace(RoomState())
                self._emit("room_deleted")
                return
            except _PASSING as error:
                failures += 1
                pause = self._backoff.delay(failures)
                self._lost()
                # Where the notifier is cut off, too, it says so itself.
                level = logging.WARNING if notifier.is_connected else logging.DEBUG
                _log.log(level, "room %s: %s (next attempt in %.1f s)", self.id, error, pause)
                # Notifications do not shorten this wait: the server needs it.
                await self._either(asyncio.sleep(pause))
                continue
            failures = 0
            self._room = room
            self._look(state_of(room), notifier.is_connected and epoch == self._epoch)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _either(self, wait: Any) -> None:
        """Wait for something, or until the room is left."""
        waiting = asyncio.ensure_future(wait)
        woken: asyncio.Future[Any] | None = None
        try:
            while not waiting.done() and not self._leaving:
                woken = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait({waiting, woken}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                self._wake.clear()
        finally:
            # Also when this is cancelled in the middle of a wait.
            tasks = [task for task in (waiting, woken) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, state: RoomState, told: bool) -> None:
        first = not self._known.is_set()
        if first:
            self._state = state
            self._changed()
        else:
            self._replace(state)
        self._known.set()
        if told and not self.is_connected:
            again = self._connection_state is ConnectionState.RECONNECTING
            self._set_state(ConnectionState.CONNECTED)
            self._emit("reconnected" if again else "connected")

    def _replace(self, state: RoomState) -> None:
        happened: list[Change] = list(changes(self._state, state))
        different = state != self._state
        self._state = state
        for name, arguments in happened:
            self._emit(name, *arguments)
        gone = [key for key in self._speaking if key[1] not in state.tracks]
        for key in gone:
            del self._speaking[key]
        if gone:
            self._emit("active_speakers_changed", self.active_speakers)
        if different:
            self._changed()

    def _changed(self) -> None:
        for changed in list(self._callbacks.values()):
            changed()

    def _notified(self, event: NotifierEvent) -> None:
        if isinstance(event, ServerMessageVadNotification):
            self._heard(event)
            return
        if isinstance(event, Disconnected):
            self._lost()
        elif isinstance(event, Reconnected):
            # A lookup under way may have been answered before what was missed.
            self._epoch += 1
            self._clear_speakers()
        elif isinstance(event, ServerMessagePeerCrashed):
            # The room shows that a peer is gone, and not why.
            self._emit("peer_crashed", event.peer_id, event.reason)
        self._wake.set()

    def _heard(self, event: ServerMessageVadNotification) -> None:
        key = (event.peer_id, event.track_id)
        before = self.active_speakers
        if event.status == _SPEECH:
            self._speaking[key] = None
        else:
            self._speaking.pop(key, None)
        if self.active_speakers != before:
            self._emit("active_speakers_changed", self.active_speakers)

    def _clear_speakers(self) -> None:
        # Who fell silent meanwhile was not told; who speaks will be told at the next change.
        if self._speaking:
            self._speaking.clear()
            self._emit("active_speakers_changed", ())

    def _lost(self) -> None:
        if self.is_connected:
            self._set_state(ConnectionState.RECONNECTING)
            self._emit("reconnecting")

    def _set_state(self, state: ConnectionState) -> None:
        if state is not self._connection_state:
            self._connection_state = state
            self._emit("connection_state_changed", state)

    def _emit(self, name: str, *arguments: Any) -> None:
        self._emitter.emit((name,), *arguments)
