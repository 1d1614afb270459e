"""What is known of one room: the truth over REST, looked up whenever a notification says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..errors import ProtocolError, SessionError
from ..protocol.generated import notifications
from ..session import PeerType, PeerView
from .backoff import Backoff
from .client import AsyncFishjamClient
from .errors import (
    InternalServerError,
    NotFoundError,
    NotifierAuthError,
    ServiceUnavailableError,
    UnreachableError,
)
from .models import Peer
from .notifier import FishjamNotifier

RESYNC_INTERVAL = 30.0
"""Seconds after which the room is looked up even if nothing was told."""

_log = logging.getLogger(__name__)

# Voice activity comes many times a second and changes nothing that REST shows.
_UNINTERESTING = (notifications.ServerMessageVadNotification,)

_PASSING = (SessionError, UnreachableError, ServiceUnavailableError, InternalServerError, ProtocolError)


class RoomFeed:
    """A `session.RoomView` of one Fishjam room, kept up to date by `run`.

        feed = RoomFeed(client, room_id)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feed.run())
            await feed.ready()

    Notifications only wake it; every change is read from the room itself, so one that got lost, came twice
    or came late does no harm.
    """

    def __init__(
        self,
        client: AsyncFishjamClient,
        room_id: str,
        *,
        backoff: Backoff | None = None,
        resync_interval: float = RESYNC_INTERVAL,
    ) -> None:
        """Does nothing until `run`.

        Args:
            client: Used for the lookups and for the notifier; stays the caller's to close.
            room_id: The room.
            backoff: Waits between attempts to reconnect.
            resync_interval: Seconds after which to look even if nothing was told.
        """
        self.room_id = room_id
        self._client = client
        self._backoff = backoff or Backoff()
        self._resync_interval = resync_interval
        self._peers: Mapping[str, PeerView] = MappingProxyType({})
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._known = asyncio.Event()
        self._wake = asyncio.Event()
        self._failures = 0

    @property
    def peers(self) -> Mapping[str, PeerView]:
        """Peer id to peer, as of the last lookup. A new mapping after every change."""
        return self._peers

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of `peers`; returns the function that ends it."""
        key = object()
        self._callbacks[key] = changed

        def end() -> None:
            self._callbacks.pop(key, None)

        return end

    async def ready(self) -> None:
        """Wait until the room is known. If `run` fails before that, it is `run` that raises."""
        await self._known.wait()

    async def run(self) -> None:
        """Keep `peers` up to date until cancelled; returns when the room is deleted.

        A lost connection is made anew, as long as it takes. While it is down `peers` stays as it was.

        Raises:
            NotFoundError: There is no such room from the start.
            HTTPError: The server refuses for a reason that does not pass, such as a wrong token.
            NotifierAuthError: The server does not take the token on the notification socket.
        """
        while True:
            try:
                await self._follow()
            except NotifierAuthError:
                raise
            except _PASSING as error:
                self._failures += 1
                delay = self._backoff.delay(self._failures)
                _log.warning("room %s: %s (next attempt in %.1f s)", self.room_id, error, delay)
                await asyncio.sleep(delay)
            else:
                return

    async def _follow(self) -> None:
        """Watch the room over one connection until it is deleted, or raise what ended the connection."""
        async with self._client.notifier() as notifier:
            try:
                async with asyncio.TaskGroup() as tasks:
                    # Subscribed before the first lookup, so that nothing falls between the two.
                    listener = tasks.create_task(self._listen(notifier))
                    while not listener.done():
                        self._wake.clear()
                        if not await self._look_up():
                            listener.cancel()
                            return
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(self._resync_interval):
                                await self._wake.wait()
                    raise listener.result()
            except ExceptionGroup as group:
                # The listener returns its errors, so there is never more than one.
                error = group.exceptions[0]
                raise error from error.__cause__

    async def _listen(self, notifier: FishjamNotifier) -> SessionError | ProtocolError:
        """Wake the lookup at every notification that concerns the room; returns what ended the connection."""
        try:
            async for event in notifier.events():
                if getattr(event, "room_id", None) == self.room_id and not isinstance(event, _UNINTERESTING):
                    self._wake.set()
        except (SessionError, ProtocolError) as error:
            return error
        finally:
            self._wake.set()
        raise AssertionError("a notifier's events only end with an error")

    async def _look_up(self) -> bool:
        """Read the room; False if it is gone."""
        try:
            room = await self._client.get_room(self.room_id)
        except NotFoundError:
            if not self._known.is_set():
                raise
            self._update({})
            return False
        self._failures = 0
        self._update({peer.id: _view(peer) for peer in room.peers})
        self._known.set()
        return True

    def _update(self, peers: dict[str, PeerView]) -> None:
        if peers == self._peers:
            return
        self._peers = MappingProxyType(peers)
        for changed in list(self._callbacks.values()):
            changed()


def _view(peer: Peer) -> PeerView:
    try:
        kind = PeerType(peer.type)
    except ValueError:
        # A kind newer than this version: to hear it is the lesser mistake.
        kind = PeerType.WEBRTC
    return PeerView(
        id=peer.id,
        type=kind,
        connected=peer.status == "connected",
        metadata=peer.metadata,
        tracks={track.id: track.metadata for track in peer.tracks if track.id is not None},
    )
