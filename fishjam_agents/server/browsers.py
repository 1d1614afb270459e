"""The door to WebRTC, for the rest of the server: `webrtc` is imported when the first browser wants media."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from ..errors import MissingExtraError
from ..protocol.generated import media_peer
from .media.clock import RoomClock
from .peer import Peer, SourceListener
from .room import Room
from .tasks import Tasks

if TYPE_CHECKING:
    from .webrtc.media import Media


class Browser(SourceListener, Protocol):
    """A browser with media, as its socket sees it."""

    def handle(self, event: media_peer.MediaEvent) -> None:
        """Take an event of the browser's."""

    def end(self) -> None:
        """The socket is closed."""


class Browsers:
    """Makes browsers of peers.

    Args:
        clock: Room time.
        tasks: Owner of what takes time.
        host: Address the server listens on.
    """

    def __init__(self, clock: RoomClock, tasks: Tasks, host: str) -> None:
        self._clock = clock
        self._tasks = tasks
        self._host = host
        self._media: Media | None = None
        self._imported = False
        self._importing: list[Callable[[], None]] | None = None

    def load(self, loaded: Callable[[], None]) -> None:
        """Import what browsers need, and then call `loaded`: at once if it is imported.

        Never, if the server is stopped. It takes a good part of a second, so it is done in a thread; whether
        it is installed shows in `add`.
        """
        if self._imported:
            loaded()
        elif self._importing is not None:
            self._importing.append(loaded)
        elif self._tasks.running:
            self._importing = [loaded]
            self._tasks.spawn(self._load(), "the import of WebRTC")

    def warm_up(self) -> None:
        """Import what browsers need before the first of them has to wait for it."""
        self.load(lambda: None)

    def add(
        self,
        room: Room,
        peer: Peer,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        leave: Callable[[], None],
    ) -> Browser:
        """Let a connected peer have media.

        Args:
            room: The room.
            peer: The peer.
            send: Sends it an encoded message.
            close: Closes its socket.
            leave: Disconnects the peer and leaves its socket open.

        Raises:
            MissingExtraError: aiortc is not installed.
        """
        webrtc = _import()
        browser: Browser = webrtc.Browser(room, peer, self._shared(webrtc), send, close, leave)
        room.listen(peer, browser)
        return browser

    async def media(self) -> Media:
        """Parts that all connections share, those of livestreams included.

        Raises:
            MissingExtraError: aiortc is not installed.
        """
        loaded = asyncio.Event()
        self.load(loaded.set)
        await loaded.wait()
        return self._shared(_import())

    def _shared(self, webrtc: ModuleType) -> Media:
        if self._media is None:
            self._media = webrtc.Media(self._clock, self._tasks, self._host)
        return self._media

    async def _load(self) -> None:
        try:
            with contextlib.suppress(MissingExtraError):
                await asyncio.to_thread(_import)
        finally:
            self._imported = True
            waiting, self._importing = self._importing or [], None
            for loaded in waiting:
                loaded()


def _import() -> ModuleType:
    try:
        return importlib.import_module(".webrtc.peer", __package__)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in _PACKAGES:
            raise MissingExtraError("a browser in the embedded Fishjam", "webrtc") from error
        raise


_PACKAGES = ("aiortc", "aioice", "av", "pylibsrtp", "ifaddr")
