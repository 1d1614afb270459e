"""Images of a call: stills of the peers' cameras, by the clock or when somebody asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fishjam_agents import events
from fishjam_agents.backends import port
from fishjam_agents.errors import FishjamAgentsError
from fishjam_agents.pipeline.context import CallContext
from fishjam_agents.pipeline.ports import BackendInputSink
from fishjam_agents.pipeline.publish_track import TRACK_DEADLINE
from fishjam_agents.session import PeerType, RoomView, Session
from fishjam_agents.vision.difference import Difference, UnreadablePictureError
from fishjam_agents.vision.settings import SHORTEST, VisionSettings

logger = logging.getLogger(__name__)

ANSWER_DEADLINE = 5.0
"""Seconds until a still that was asked for must be there; requests that Fishjam drops are not answered."""
SHOWS = {"camera": "camera", "screen": "screenShareVideo"}
"""Videos that may be looked at, by the track's metadata `type` (Fishjam web client SDK)."""


@dataclass(slots=True)
class _View:
    """One video track."""

    asked: float = -SHORTEST
    awaited: list[asyncio.Future[None]] = field(default_factory=list)
    difference: Difference | None = None
    warned: bool = False


class VisionInput:
    """Pictures of the peers' cameras and screens, on their way to the backend.

    Args:
        context: The call.
        settings: Pictures that are taken unasked.
        session: The connection to the room.
        room: What is known of the room, or None; then nobody's camera is known.
        backend: Taker of the pictures.

    Attributes:
        due: Loop time from which on `tick` has something to do.
    """

    def __init__(
        self,
        context: CallContext,
        settings: VisionSettings,
        session: Session,
        room: RoomView | None,
        backend: BackendInputSink,
    ) -> None:
        self._context = context
        self._backend = backend
        self._settings = settings
        self._session = session
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._views: dict[str, _View] = {}
        self._asking: set[asyncio.Task[None]] = set()
        watches = context.capabilities.images and settings.capture != "demand"
        self.due = self._loop.time() if watches else float("inf")

    def tick(self, now: float) -> None:
        """Look, if it is time. Called every 20 ms with the loop's time."""
        if now < self.due:
            return
        self.due = now + self._settings.every
        tracks = {track for _, track, kind in self._video() if kind in self._settings.tracks}
        for track in tracks:
            if now - self._view(track).asked >= SHORTEST:
                task = self._loop.create_task(self.capture(track), name=f"capture-{self._context.id}")
                self._asking.add(task)
                task.add_done_callback(self._asked)
        # Tracks that are gone take what was kept of them along.
        for track in self._views.keys() - {track for _, track, _ in self._video()}:
            if not self._views[track].awaited:
                del self._views[track]

    async def capture(self, track: str) -> None:
        """Ask for a still of a video track; it goes to the backend when it comes.

        Waits until one may be asked for: one a second and track.
        """
        view = self._view(track)
        while (wait := view.asked + SHORTEST - self._loop.time()) > 0:  # noqa: ASYNC110 - others ask, too
            await asyncio.sleep(wait)
        view.asked = self._loop.time()
        async with asyncio.timeout(TRACK_DEADLINE):
            await self._session.capture_image(track)

    async def look(self, what: Literal["camera", "screen"], peer: str | None) -> str:
        """Have a peer's camera or screen shown to the backend, now.

        Returns:
            Whose it was.

        Raises:
            FishjamAgentsError: There is nothing to see, or no picture came.
        """
        whose, track = self._find(what, peer)
        view = self._view(track)
        came: asyncio.Future[None] = self._loop.create_future()
        view.awaited.append(came)
        try:
            async with asyncio.timeout(ANSWER_DEADLINE + SHORTEST):
                if len(view.awaited) == 1:
                    await self.capture(track)
                await came
        except TimeoutError as error:
            raise FishjamAgentsError(
                f"no picture came from the {what}: ask to switch it off and on"
            ) from error
        finally:
            if came in view.awaited:
                view.awaited.remove(came)
        return whose

    def image(self, image: Any) -> None:
        """Take a still the session received."""
        view = self._view(image.track_id)
        awaited, view.awaited = view.awaited, []
        problem = self._problem(image, view)
        for came in awaited:
            if came.done():
                continue
            if problem is None:
                came.set_result(None)
            else:
                came.set_exception(FishjamAgentsError(problem))
        if problem is not None:
            if not view.warned:
                view.warned = True
                self._context.emit(events.BackendWarning(problem, at=self._context.now()))
        elif awaited or self._is_new(image.data, view):
            peer = next((peer for peer, track, _ in self._video() if track == image.track_id), None)
            self._backend.put(port.ImageInput(image.data, image.content_type, peer, image.track_id))

    async def close(self) -> None:
        """Look no more."""
        self.due = float("inf")
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _problem(self, image: Any, view: _View) -> str | None:
        """Return the reason for which a still cannot be shown, None if it can."""
        if not self._context.capabilities.images:
            return "an image was dropped: the backend takes none"
        size, most = len(image.data), self._settings.max_bytes
        if size > most:
            return f"a picture of {size} bytes was dropped: at most {most} are sent, raise vision.max_bytes"
        return None

    def _is_new(self, data: bytes, view: _View) -> bool:
        if self._settings.capture != "change":
            return True
        if view.difference is None:
            view.difference = Difference(self._settings.change)
        try:
            return view.difference.is_new(data)
        except UnreadablePictureError:
            # Whatever it is, the model may make something of it.
            return True

    def _find(self, what: Literal["camera", "screen"], peer: str | None) -> tuple[str, str]:
        shown = [(whose, track) for whose, track, kind in self._video() if kind == SHOWS[what]]
        found = shown if peer is None else [(whose, track) for whose, track in shown if whose == peer]
        if not found:
            raise FishjamAgentsError(f"no {what} is on: ask to switch it on")
        if peer is None and len(found) > 1:
            raise FishjamAgentsError(f"{len(found)} people show a {what}: wait until one of them speaks")
        return found[0]

    def _video(self) -> Iterator[tuple[str, str, str]]:
        """Peer, track and type of every track that shows something now."""
        if self._room is None:
            return
        for peer in self._room.peers.values():
            if not peer.connected or peer.type is PeerType.AGENT:
                continue
            for track, metadata in peer.tracks.items():
                if isinstance(metadata, dict) and not metadata.get("paused"):
                    kind = metadata.get("type")
                    if isinstance(kind, str) and kind not in (
                        "microphone",
                        "screenShareAudio",
                        "customAudio",
                    ):
                        yield peer.id, track, kind

    def _view(self, track: str) -> _View:
        view = self._views.get(track)
        if view is None:
            view = self._views[track] = _View()
        return view

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The connection is being made anew, or the track is gone: the next look may find it.
            logger.debug("A still could not be asked for", exc_info=error, extra={"call": self._context.id})
