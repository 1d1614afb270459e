"""Notifications of a Fishjam server: what happens in all of its rooms, as it happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Self, TypeAlias
from weakref import WeakSet

import betterproto

from ..backoff import Backoff
from ..race import until_ready
from ..secrecy import shown_url
from .addressing import SERVER_SOCKET, base_url, socket_url
from .emitter import QUEUE_LIMIT, BoundedQueue, Emitter, Handler
from .errors import NotifierAuthError
from .events.allowed_notifications import AllowedNotification
from .notification_socket import subscribed
from .reconnect import PASSING, STEADY, Disconnected, Reconnected

HANDLER_PATIENCE = 2.0
"""Seconds a handler under way has to end after `close`."""

NotifierEvent: TypeAlias = AllowedNotification | Disconnected | Reconnected
"""A `ServerMessage...` notification, or what the notifier says about its own connection."""

_log = logging.getLogger(__name__)


class _Any:
    """The key of every notification."""


class FishjamNotifier:
    """Receives a server's notifications.

    With handlers, as in Fishjam's own SDK; `connect` runs until the connection ends:

        notifier = FishjamNotifier(fishjam_id, management_token)

        @notifier.on_server_notification
        async def handle(notification): ...

        await notifier.connect()

    Or as an async context manager, which connects, and closes at its end:

        async with FishjamNotifier(fishjam_id, management_token, reconnect=True) as notifier:
            async for event in notifier.events():
                ...

    Nothing is replayed: what happens while no notifier is connected is not told. So look at the rooms over
    REST at every `Reconnected`, or let `LiveRoom` do it.

    Attributes:
        reconnect: Whether a lost connection is made anew; may be changed while not connected.
    """

    def __init__(
        self,
        fishjam_id: str,
        management_token: str,
        *,
        reconnect: bool = False,
        backoff: Backoff | None = None,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """Does not contact the server yet.

        Args:
            fishjam_id: The ID of an app in Fishjam's cloud, or the URL of a server.
            management_token: The app's management token.
            reconnect: Make a lost connection anew, as long as it takes, and tell with `Reconnected`.
            backoff: Waits between attempts.
            queue_limit: Events that may wait for slow handlers, and for each reader of `events`.

        Raises:
            ConfigError: The ID cannot be used as written.
        """
        self.reconnect = reconnect
        self._url = socket_url(base_url(fishjam_id), SERVER_SOCKET)
        self._management_token = management_token
        self._backoff = backoff or Backoff()
        self._queue_limit = queue_limit
        self._emitter = Emitter("notifier", queue_limit)
        self._streams: WeakSet[BoundedQueue[NotifierEvent]] = WeakSet()
        self._spare: BoundedQueue[NotifierEvent] | None = None
        self._listeners: dict[object, tuple[str | None, Callable[[NotifierEvent], None]]] = {}
        self._by_room: dict[str | None, tuple[Callable[[NotifierEvent], None], ...]] = {}
        self._ready = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._dispatcher: asyncio.Task[None] | None = None
        self._entered: asyncio.Task[None] | None = None
        self._closing = False
        self._lost_at: float | None = None
        self._attempts = 0
        self._failures = 0

    def __repr__(self) -> str:
        return f"FishjamNotifier({shown_url(self._url)!r})"

    @property
    def is_connected(self) -> bool:
        """True while notifications arrive."""
        return self._ready.is_set()

    @property
    def dropped(self) -> int:
        """Number of events that handlers never saw because they were too slow."""
        return self._emitter.dropped

    # --- who is told ---

    def on_server_notification(self, handler: Handler) -> Handler:
        """Decorator: call `handler` with every notification. Any number of handlers may be registered.

        Handlers are functions or coroutine functions, called one after the other in the order of events. One
        that raises is logged; the others are called all the same.
        """
        return self._emitter.on((_Any,), handler)

    def on(self, *kinds: type[Any]) -> Callable[[Handler], Handler]:
        """Decorator: call the handler with events of these classes only.

        Args:
            kinds: `ServerMessage...` classes, `Reconnected`, `Disconnected`.
        """
        keys: tuple[Any, ...] = kinds
        return lambda handler: self._emitter.on(keys, handler)

    def events(self) -> BoundedQueue[NotifierEvent]:
        """Return the events from now on, for `async for`.

        Order holds within a room. Kinds this version does not know are skipped, batches are unpacked. Without
        `reconnect` the iteration raises what `connect` raises; with it, `Disconnected` and `Reconnected`
        stand between the notifications. It ends after `close`.
        """
        stream, self._spare = self._spare, None
        if stream is None:
            stream = self._stream()
            if self._entered is not None and self._entered.done() and not self._entered.cancelled():
                stream.end(self._entered.exception())
        return stream

    def subscribe(
        self, notified: Callable[[NotifierEvent], None], room_id: str | None = None
    ) -> Callable[[], None]:
        """Call `notified` as soon as an event is read, ahead of any queue; for quick functions.

        Args:
            notified: Called with the event; must not raise.
            room_id: Only of this room; `Disconnected` and `Reconnected` concern every room.

        Returns:
            The function that ends it.
        """
        key = object()
        self._listeners[key] = (room_id, notified)
        self._index()

        def end() -> None:
            self._listeners.pop(key, None)
            self._index()

        return end

    def _index(self) -> None:
        rooms = {room_id for room_id, _ in self._listeners.values()}
        self._by_room = {
            room_id: tuple(notified for wanted, notified in self._listeners.values() if wanted == room_id)
            for room_id in rooms
        }

    def _stream(self) -> BoundedQueue[NotifierEvent]:
        stream: BoundedQueue[NotifierEvent] = BoundedQueue("notifier", self._queue_limit)
        self._streams.add(stream)
        return stream

    # --- the connection ---

    async def connect(self) -> None:
        """Connect, and hand out notifications until the connection ends. May be called again afterwards.

        Returns after `close`; with `reconnect` only then. Every notification that was received has been
        handled when this raises.

        Raises:
            RuntimeError: Nobody would be told, or the notifier is connected already.
            UnreachableError: The server cannot be reached within 10 s.
            NotifierAuthError: It does not take the management token.
            SessionClosedError: The server ended the connection.
            SessionLostError: The connection broke, or the server did not answer within 10 s.
            ProtocolError: What it sent is not Fishjam's protocol, or a status newer than this version
                (`StaleSdkError`); with `reconnect` that one is left out and logged.
        """
        if self._running is not None:
            raise RuntimeError("the notifier is connected already: make another one for a second connection")
        if not (self._emitter.handled or self._streams or self._listeners):
            raise RuntimeError(
                "the notifier has no handler: define one with @notifier.on_server_notification first"
            )
        self._closing = False
        self._running = asyncio.create_task(self._run(), name="notifier")
        error: Exception | None = None
        try:
            await self._running
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not self._closing or (caller is not None and caller.cancelling()):
                raise
        except Exception as raised:
            # Whatever it is, the iterations of `events` raise it, too.
            error = raised
            raise
        finally:
            self._running = None
            for stream in tuple(self._streams):
                stream.end(error)
            self._streams.clear()

    async def wait_ready(self) -> None:
        """Wait until the notifier is connected, authenticated and subscribed; returns at once if it is."""
        await self._ready.wait()

    async def close(self) -> None:
        """Leave: `connect` returns, iterations of `events` end. A handler under way has 2 s to finish.

        May be called by a handler. Does nothing when not connected.
        """
        running = self._running
        if running is None:
            return
        self._closing = True
        running.cancel()
        if asyncio.current_task() is not self._dispatcher:
            await asyncio.wait({running})

    async def __aenter__(self) -> Self:
        """Connect, authenticate and subscribe; with `reconnect`, as long as it takes.

        Raises:
            UnreachableError: The server cannot be reached within 10 s.
            NotifierAuthError: It does not take the management token.
            SessionLostError: It broke off, or did not answer within 10 s.
            ProtocolError: What it answered is not Fishjam's protocol.
        """
        if not (self._emitter.handled or self._streams or self._listeners):
            # What comes before the first `events()` waits for it.
            self._spare = self._stream()
        self._entered = asyncio.create_task(self.connect(), name="notifier connection")
        try:
            await until_ready(self._entered, self.wait_ready())
        except BaseException:
            # Also where whoever enters is cancelled.
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered = self._entered
        await self._leave()
        if kind is None and entered is not None and not entered.cancelled():
            entered.result()

    async def _leave(self) -> None:
        entered, self._entered = self._entered, None
        self._spare = None
        await self.close()
        if entered is not None:
            entered.cancel()
            await asyncio.gather(entered, return_exceptions=True)

    async def _run(self) -> None:
        self._dispatcher = dispatcher = asyncio.create_task(self._emitter.run(), name="notifier handlers")
        try:
            await self._stay_connected()
        except asyncio.CancelledError:
            self._emitter.finish(drop=True)
            if self._closing:
                await asyncio.wait({dispatcher}, timeout=HANDLER_PATIENCE)
            raise
        except Exception:
            # Whatever it is, what was received before is handled first.
            self._emitter.finish()
            await dispatcher
            raise
        finally:
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)
            self._dispatcher = None

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connected_at: float | None = None
            self._attempts += 1
            try:
                connection = subscribed(self._url, self._management_token, strict=not self.reconnect)
                async with connection as notifications:
                    connected_at = loop.time()
                    self._up(connected_at)
                    async for event in notifications:
                        self._tell(event, (type(event), _Any))
            except NotifierAuthError:
                raise
            except PASSING as error:
                self._down(error, connected_at)
                if not self.reconnect:
                    raise
                delay = self._backoff.delay(self._failures)
                _log.warning("%s (next attempt in %.1f s)", error, delay)
                await asyncio.sleep(delay)
            finally:
                self._ready.clear()

    def _up(self, now: float) -> None:
        self._ready.set()
        if self._lost_at is not None:
            outage, self._lost_at = now - self._lost_at, None
            self._tell(Reconnected(outage, self._attempts), (Reconnected,))

    def _down(self, error: Exception, connected_at: float | None) -> None:
        self._ready.clear()
        now = asyncio.get_running_loop().time()
        if connected_at is not None:
            if now - connected_at >= STEADY:
                self._failures = 0
            self._lost_at, self._attempts = now, 0
            self._tell(Disconnected(error), (Disconnected,))
        self._failures += 1

    def _tell(self, event: NotifierEvent, keys: tuple[Hashable, ...]) -> None:
        if isinstance(event, betterproto.Message):
            room_id = getattr(event, "room_id", None)
            listeners = self._by_room.get(None, ())
            if room_id is not None:
                listeners += self._by_room.get(room_id, ())
        else:
            listeners = tuple(notified for _, notified in self._listeners.values())
        for notified in listeners:
            notified(event)
        if self.reconnect or isinstance(event, betterproto.Message):
            for stream in tuple(self._streams):
                stream.put(event)
        self._emitter.emit(keys, event)
