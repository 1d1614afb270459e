"""A livestream: who may send it and who may watch it. No media flows (Fishjam docs, Livestreams)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal

LivestreamRole = Literal["streamer", "viewer"]


class Livestream:
    """Streamers and viewers of one livestream room, as the `/livestream` resources show them.

    Args:
        token: Issues a token for an id that streams or views.
    """

    def __init__(self, token: Callable[[str, LivestreamRole], str]) -> None:
        self._token = token
        self._streamers: dict[str, dict[str, Any]] = {}
        self._viewers: dict[str, dict[str, Any]] = {}
        self._removed: set[str] = set()

    def new_token(self, role: LivestreamRole) -> str:
        """A token that no resource stands for; it ends with the room."""
        return self._token(str(uuid.uuid4()), role)

    def admits(self, holder_id: str) -> bool:
        """Return whether the token of an id still counts: its streamer or viewer was not removed."""
        return holder_id not in self._removed

    def add_streamer(self) -> dict[str, Any]:
        """Allow one more to send; the streamer as REST answers it."""
        streamer_id = str(uuid.uuid4())
        streamer = {
            "id": streamer_id,
            "status": "disconnected",
            "token": self._token(streamer_id, "streamer"),
        }
        self._streamers[streamer_id] = streamer
        return streamer

    def add_viewer(self) -> dict[str, Any]:
        """Allow one more to watch; the viewer as REST answers it."""
        viewer_id = str(uuid.uuid4())
        viewer = {"id": viewer_id, "token": self._token(viewer_id, "viewer")}
        self._viewers[viewer_id] = viewer
        return viewer

    def remove_streamer(self, streamer_id: str) -> None:
        """Does nothing when there is none of that id."""
        if self._streamers.pop(streamer_id, None) is not None:
            self._removed.add(streamer_id)

    def remove_viewer(self, viewer_id: str) -> None:
        """Does nothing when there is none of that id."""
        if self._viewers.pop(viewer_id, None) is not None:
            self._removed.add(viewer_id)

    def as_json(self) -> dict[str, Any]:
        """The part of a stream that is not the room's."""
        return {"streamers": list(self._streamers.values()), "viewers": list(self._viewers.values())}
