"""The door to WebRTC, for the rest of the server: `webrtc` is imported when the first browser wants media."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..errors import MissingExtraError
from ..protocol.generated import media_peer, media_server
from .media.clock import RoomClock
from .peer import Peer
from .room import Room
from .tasks import Tasks

if TYPE_CHECKING:
    from .webrtc.peer import Media


class Browser(Protocol):
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

    def add(
        self,
        room: Room,
        peer: Peer,
        send: Callable[[media_server.MediaEvent], None],
        close: Callable[[int, str], None],
    ) -> Browser:
        """Let a connected peer have media.

        Args:
            room: The room.
            peer: The peer.
            send: Sends it an event.
            close: Closes its socket.

        Raises:
            MissingExtraError: aiortc is not installed.
        """
        try:
            from .webrtc.peer import Browser as WebRtcBrowser
            from .webrtc.peer import Media
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.partition(".")[0] in _PACKAGES:
                raise MissingExtraError("a browser in the embedded Fishjam", "webrtc") from error
            raise
        if self._media is None:
            self._media = Media(self._clock, self._tasks, self._host)
        browser = WebRtcBrowser(room, peer, self._media, send, close)
        room.listen(peer, browser)
        return browser


_PACKAGES = ("aiortc", "aioice", "av", "pylibsrtp", "ifaddr")
