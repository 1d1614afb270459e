"""A livestream: who may send it and who may watch it. No media flows (Fishjam docs, Livestreams)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any


class Livestream:
    """Streamers and viewers of one livestream room, as the `/livestream` resources show them.

    Args:
        token: Issues a token for an id.
    """

    def __init__(self, token: Callable[[str], str]) -> None:
        self._token = token
        self._streamers: dict[str, dict[str, Any]] = {}
        self._viewers: dict[str, dict[str, Any]] = {}

    def new_token(self) -> str:
        """A token that no resource stands for; it ends with the room."""
        return self._token(str(uuid.uuid4()))

    def add_streamer(self) -> dict[str, Any]:
        """Allow one more to send; the streamer as REST answers it."""
        streamer_id = str(uuid.uuid4())
        streamer = {"id": streamer_id, "status": "disconnected", "token": self._token(streamer_id)}
        self._streamers[streamer_id] = streamer
        return streamer

    def add_viewer(self) -> dict[str, Any]:
        """Allow one more to watch; the viewer as REST answers it."""
        viewer_id = str(uuid.uuid4())
        viewer = {"id": viewer_id, "token": self._token(viewer_id)}
        self._viewers[viewer_id] = viewer
        return viewer

    def remove_streamer(self, streamer_id: str) -> None:
        """Does nothing when there is none of that id."""
        self._streamers.pop(streamer_id, None)

    def remove_viewer(self, viewer_id: str) -> None:
        """Does nothing when there is none of that id."""
        self._viewers.pop(viewer_id, None)

    def as_json(self) -> dict[str, Any]:
        """The part of a stream that is not the room's."""
        return {"streamers": list(self._streamers.values()), "viewers": list(self._viewers.values())}
