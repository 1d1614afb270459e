"""Track forwarding: the tracks of a room as inputs of a composition (Fishjam OpenAPI).

No composition is rendered here. The links, their notifications and what REST shows of them are real, and a
recording of the composition holds what was forwarded to it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from ..protocol import Track
from .errors import RequestError
from .notifications import Notifications

MAX_URL_CHARACTERS = 255
"""Length of a composition URL (Fishjam OpenAPI)."""

_URL = re.compile(r"https?://[^/\s]+(/\S*)?")


class Forwarding:
    """The link of one room to one composition: every track of the room is an input of its own.

    Args:
        room_id: The room.
        url: The composition.
        notifications: Told of every input that comes and goes.

    Attributes:
        url: The composition.
    """

    def __init__(self, room_id: str, url: str, notifications: Notifications) -> None:
        self.url = url
        self._room_id = room_id
        self._notifications = notifications
        self._inputs: dict[str, tuple[str, str]] = {}

    def track_added(self, peer_id: str, track: Track) -> None:
        """Forward a track from now on."""
        input_id = str(uuid.uuid4())
        self._inputs[track.id] = input_id, peer_id
        self._notifications.track_forwarding(self._room_id, peer_id, self.url, input_id, track)

    def track_removed(self, peer_id: str, track: Track) -> None:
        """Forward a track no more."""
        input_id, _ = self._inputs.pop(track.id)
        self._notifications.track_forwarding_removed(self._room_id, peer_id, self.url, input_id)

    def as_json(self) -> dict[str, Any]:
        """The room's `compositionInfo`."""
        forwardings = [
            {"inputId": input_id, "peerId": peer_id, "audioTrackId": track_id, "videoTrackId": None}
            for track_id, (input_id, peer_id) in self._inputs.items()
        ]
        return {"compositionUrl": self.url, "forwardings": forwardings}


def read_composition_url(body: Mapping[str, Any]) -> str:
    """The key `compositionURL` of a request body.

    Raises:
        RequestError: 400, it is missing, no URL or too long.
    """
    url = body.get("compositionURL")
    if not isinstance(url, str) or len(url) > MAX_URL_CHARACTERS or not _URL.fullmatch(url):
        raise RequestError(400, f"Expected compositionURL to be valid URL, got: {url}")
    return url


def read_forwarding(body: Mapping[str, Any]) -> str:
    """Read the body of `POST /room/{id}/track_forwardings`: the composition's URL.

    Raises:
        RequestError: 400, the URL is none, or the selector is not `all`.
    """
    selector = body.get("selector")
    if selector not in (None, "all"):
        raise RequestError(400, f"Expected selector to be 'all', got: {selector}")
    return read_composition_url(body)
