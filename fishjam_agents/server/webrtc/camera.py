"""A browser's camera or shared screen: frames are passed on as they came, and decoded for a still alone."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ...protocol import Track
from ..media.camera import VideoSource
from ..tasks import Tasks
from .video import is_keyframe, jpeg

_log = logging.getLogger(__name__)

ASK_SECONDS = 0.5
"""Shortest time between two requests for a key frame, in seconds."""

FRESH_SECONDS = 0.5
"""Age up to which the last key frame is what is seen now."""

MAX_REQUESTS = 4
"""Stills that may wait for a key frame: one a second is asked for, and a browser is faster than that."""


class Viewer(Protocol):
    """Receiver of frames."""

    def push(self, payload: bytes, position: int) -> None:
        """Take a frame; `position` is its time stamp, in ticks of 90 kHz."""


class BrowserCamera(VideoSource):
    """Part of `sources.Source` and of `tracks.FrameSink`.

    Args:
        track_id: The browser's name of the track.
        metadata: JSON text.
        tasks: Owner of what takes time.
        now: Room time, in seconds.

    Attributes:
        codec: `vp8` or `h264`, once it is agreed on.
    """

    def __init__(self, track_id: str, metadata: str, tasks: Tasks, now: Callable[[], float]) -> None:
        super().__init__(track_id, metadata)
        self.codec = ""
        self._tasks = tasks
        self._now = now
        self._viewers: list[Viewer] = []
        self._requests: deque[Callable[[bytes], None]] = deque(maxlen=MAX_REQUESTS)
        self._key: bytes = b""
        self._key_at = 0.0
        self._wanted = False
        self._asked_at = float("-inf")

    def describe(self, metadata: str) -> Track:
        """Change the track's metadata; returns the track as it is now."""
        self.track = Track(self.track.id, self.track.type, metadata)
        return self.track

    def view(self, viewer: Viewer) -> Callable[[], None]:
        """Pass every frame on to `viewer`; returns the function that ends it."""
        self._viewers.append(viewer)

        def unview() -> None:
            if viewer in self._viewers:
                self._viewers.remove(viewer)

        return unview

    def want_keyframe(self) -> None:
        """Ask the browser for a frame that needs no other, with its next packet."""
        self._wanted = True

    def picture_for(self, reply: Callable[[bytes], None]) -> None:
        """Part of `VideoSource`."""
        self._requests.append(reply)
        if self._key and self._now() - self._key_at <= FRESH_SECONDS:
            self._answer()
        else:
            self.want_keyframe()

    def begin(self, codec: str) -> None:
        """Part of `tracks.FrameSink`."""
        self.codec = codec

    def put_frame(self, timestamp: int, frame: bytes) -> None:
        """Part of `tracks.FrameSink`."""
        for viewer in self._viewers:
            viewer.push(frame, timestamp)
        if is_keyframe(self.codec, frame):
            self._key, self._key_at = frame, self._now()
            self._wanted = False
            if self._requests:
                self._answer()

    def asks_for_keyframe(self) -> bool:
        """Part of `tracks.FrameSink`."""
        if not self._wanted or self._now() - self._asked_at < ASK_SECONDS:
            return False
        self._asked_at = self._now()
        return True

    def _answer(self) -> None:
        requests, self._requests = tuple(self._requests), deque(maxlen=MAX_REQUESTS)
        self._tasks.spawn(self._picture(self._key, requests), f"a picture of {self.track.id}")

    async def _picture(self, key: bytes, requests: tuple[Callable[[bytes], None], ...]) -> None:
        picture = await asyncio.to_thread(jpeg, self.codec, key)
        if picture is None:
            _log.debug("a key frame of %s cannot be decoded: the next one is waited for", self.track.id)
            self._requests.extend(requests)
            self.want_keyframe()
            return
        for reply in requests:
            reply(picture)
