"""A livestream: who may send it, who may watch it, and who does (Fishjam docs, Livestreams)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

from .errors import RequestError
from .notifications import Notifications
from .tokens import LivestreamRole

MAX_VIEWERS = 256
"""Viewers of one livestream at a time: each is a connection of its own. Our choice."""


class LiveSession(Protocol):
    """One connection to a livestream."""

    @property
    def holder_id(self) -> str:
        """Id of its streamer or viewer."""
        ...

    @property
    def role(self) -> LivestreamRole:
        """Role: one of the two."""
        ...

    def end(self) -> None:
        """End it. Does nothing the second time."""
        ...


class Livestream:
    """Streamers and viewers of one livestream room, as the `/livestream` resources show them.

    Args:
        room_id: The room.
        token: Issues a token for an id that streams or views.
        notifications: Told who comes and goes.
    """

    def __init__(
        self,
        room_id: str,
        token: Callable[[str, LivestreamRole], str],
        notifications: Notifications,
    ) -> None:
        self._room_id = room_id
        self._token = token
        self._notifications = notifications
        self._streamers: dict[str, str] = {}
        self._viewers: dict[str, str] = {}
        self._removed: set[str] = set()
        self._closed = False
        # Whether backends were told of it.
        self._sessions: dict[LiveSession, bool] = {}

    def new_token(self, role: LivestreamRole) -> str:
        """A token that no resource stands for; it ends with the room."""
        return self._token(str(uuid.uuid4()), role)

    def admits(self, holder_id: str) -> bool:
        """Return whether the token of an id still counts: its streamer or viewer was not removed."""
        return holder_id not in self._removed

    def add_streamer(self) -> dict[str, Any]:
        """Allow one more to send; the streamer as REST answers it."""
        streamer_id = str(uuid.uuid4())
        self._streamers[streamer_id] = self._token(streamer_id, "streamer")
        return self._streamer(streamer_id)

    def add_viewer(self) -> dict[str, Any]:
        """Allow one more to watch; the viewer as REST answers it."""
        viewer_id = str(uuid.uuid4())
        self._viewers[viewer_id] = self._token(viewer_id, "viewer")
        return self._viewer(viewer_id)

    def remove_streamer(self, streamer_id: str) -> None:
        """Allow it no more; does nothing when there is none of that id."""
        if self._streamers.pop(streamer_id, None) is not None:
            self._revoke(streamer_id)

    def remove_viewer(self, viewer_id: str) -> None:
        """Allow it no more; does nothing when there is none of that id."""
        if self._viewers.pop(viewer_id, None) is not None:
            self._revoke(viewer_id)

    def begin(self, session: LiveSession) -> None:
        """Take a session, whose connection is to be made.

        Raises:
            RequestError: 404, the livestream has ended; 401, the streamer or viewer was removed; 409,
                somebody streams already; 503, there are too many viewers.
        """
        # Its offer may have been on its way for a while.
        if self._closed:
            raise RequestError(404, "Stream not found")
        if not self.admits(session.holder_id):
            raise RequestError(401, "Invalid token")
        of_its_kind = sum(other.role == session.role for other in self._sessions)
        if session.role == "streamer" and of_its_kind:
            raise RequestError(409, "Streamer already connected")
        if of_its_kind >= MAX_VIEWERS:
            raise RequestError(503, f"Reached the limit of {MAX_VIEWERS} viewers")
        self._sessions[session] = False

    def connected(self, session: LiveSession) -> None:
        """The connection of a session has been agreed on."""
        if session not in self._sessions:
            return
        self._sessions[session] = True
        if session.role == "streamer":
            self._notifications.streamer_connected(self._room_id, session.holder_id)
        else:
            self._notifications.viewer_connected(self._room_id, session.holder_id)

    def ended(self, session: LiveSession) -> None:
        """A session is over. Does nothing the second time."""
        if not self._sessions.pop(session, False):
            return
        if session.role == "streamer":
            self._notifications.streamer_disconnected(self._room_id, session.holder_id)
        else:
            self._notifications.viewer_disconnected(self._room_id, session.holder_id)

    def close(self) -> None:
        """End every session, and take no more."""
        self._closed = True
        self.end_sessions()

    def end_sessions(self) -> None:
        """End every session."""
        for session in tuple(self._sessions):
            session.end()

    def as_json(self) -> dict[str, Any]:
        """The part of a stream that is not the room's."""
        return {
            "streamers": [self._streamer(streamer_id) for streamer_id in self._streamers],
            "viewers": [self._viewer(viewer_id) for viewer_id in self._viewers],
        }

    def _streamer(self, streamer_id: str) -> dict[str, Any]:
        on = any(known and session.holder_id == streamer_id for session, known in self._sessions.items())
        status = "connected" if on else "disconnected"
        return {"id": streamer_id, "status": status, "token": self._streamers[streamer_id]}

    def _viewer(self, viewer_id: str) -> dict[str, Any]:
        return {"id": viewer_id, "token": self._viewers[viewer_id]}

    def _revoke(self, holder_id: str) -> None:
        self._removed.add(holder_id)
        for session in tuple(self._sessions):
            if session.holder_id == holder_id:
                session.end()
