"""The endpoints of Fishjam's REST interface, without I/O: what to send and how to read the answer.

A client, asynchronous or not, sends `method`, `path` and `body` and passes status and bytes to `answer`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from .._version import __version__
from ..errors import ProtocolError
from .errors import InvalidFishjamCredentialsError, error_for_status
from .models import (
    AgentOptions,
    PeerAccess,
    PeerOptions,
    Room,
    RoomOptions,
    as_object,
    as_text,
    parse_peer,
    parse_room,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call of one endpoint.

    Attributes:
        method: HTTP method.
        path: Relative to the base URL; ids in it are percent-encoded, slashes included.
        read: Makes the result of the decoded JSON (None for an empty body).
        body: JSON to send, None for no body.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    body: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def answer(self, status: int, content: bytes) -> T:
        """Read the server's answer.

        Raises:
            HTTPError: A status of 400 and above, as its own class.
            ProtocolError: The answer is not what the endpoint gives.
        """
        if status >= 400:
            raise error_for_status(status, _reason(content), str(self))
        if status >= 300:
            raise ProtocolError(f"{self} was redirected ({status}): give the server's final URL")
        if not content:
            return self.read(None)
        try:
            value = json.loads(content)
        except ValueError as error:
            raise ProtocolError(f"{self} was not answered with JSON: is it a Fishjam server?") from error
        return self.read(value)


class _Validation(Request[None]):
    """`/validate` speaks in statuses of its own: 404 says that the pair of id and token is wrong."""

    __slots__ = ()

    def answer(self, status: int, content: bytes) -> None:
        if status in (401, 404):
            raise InvalidFishjamCredentialsError(status, _reason(content), str(self))
        if status >= 300:
            Request.answer(self, status, content)


def headers(management_token: str) -> dict[str, str]:
    """Headers of every request."""
    return {
        "Authorization": f"Bearer {management_token}",
        "x-fishjam-api-client": f"fishjam-agents/{__version__}",
    }


def check_credentials() -> Request[None]:
    """Is the management token valid?"""
    return _Validation("GET", "/validate", _nothing)


def create_room(options: RoomOptions) -> Request[Room]:
    """Make a room."""
    body = {
        "maxPeers": options.max_peers,
        "webhookUrl": options.webhook_url,
        "roomType": options.room_type,
        "public": options.public,
        "batchWebhookNotifications": options.batch_webhook_notifications,
    }
    if options.video_codec is not None:
        body["videoCodec"] = options.video_codec
    return Request("POST", "/room", lambda value: parse_room(_data(value).get("room")), body)


def get_all_rooms() -> Request[list[Room]]:
    """List all rooms."""
    return Request("GET", "/room", _rooms)


def get_room(room_id: str) -> Request[Room]:
    """Get one room."""
    return Request("GET", f"/room/{_id(room_id)}", lambda value: parse_room(_data(value)))


def delete_room(room_id: str) -> Request[None]:
    """Delete a room and everybody in it."""
    return Request("DELETE", f"/room/{_id(room_id)}", _nothing)


def create_peer(room_id: str, options: PeerOptions) -> Request[PeerAccess]:
    """Make a peer for a browser or an app."""
    body = {
        "type": "webrtc",
        "options": {"metadata": dict(options.metadata or {}), "subscribeMode": options.subscribe_mode},
    }
    return Request("POST", f"/room/{_id(room_id)}/peer", _access, body)


def create_agent(room_id: str, options: AgentOptions) -> Request[PeerAccess]:
    """Make an agent."""
    output = {
        "audioFormat": options.output.audio_format,
        "audioSampleRate": options.output.audio_sample_rate,
    }
    body = {"type": "agent", "options": {"output": output, "subscribeMode": options.subscribe_mode}}
    return Request("POST", f"/room/{_id(room_id)}/peer", _access, body)


def delete_peer(room_id: str, peer_id: str) -> Request[None]:
    """Delete a peer; if it is connected, it is cut off."""
    return Request("DELETE", f"/room/{_id(room_id)}/peer/{_id(peer_id)}", _nothing)


def refresh_peer_token(room_id: str, peer_id: str) -> Request[str]:
    """Get a new token for a peer."""
    return Request(
        "POST",
        f"/room/{_id(room_id)}/peer/{_id(peer_id)}/refresh_token",
        lambda value: as_text(_data(value), "token", "an answer"),
    )


def _id(value: str) -> str:
    return quote(value, safe="")


def _nothing(value: Any) -> None:
    return None


def _data(value: Any) -> Mapping[str, Any]:
    return as_object(as_object(value, "an answer").get("data"), "an answer's data")


def _rooms(value: Any) -> list[Room]:
    rooms = as_object(value, "an answer").get("data")
    if not isinstance(rooms, list):
        raise ProtocolError("the server sent no list of rooms: is it a Fishjam server?")
    return [parse_room(room) for room in rooms]


def _access(value: Any) -> PeerAccess:
    data = _data(value)
    return PeerAccess(
        peer=parse_peer(data.get("peer")),
        token=as_text(data, "token", "a new peer"),
        websocket_url=data.get("peer_websocket_url"),
    )


def _reason(content: bytes) -> str:
    """The server's own words: `{"errors": text}`, `{"errors": {"detail": text}}` or anything else."""
    text = content.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict):
        value = value.get("errors", value)
    if isinstance(value, dict):
        value = value.get("detail", value)
    return value if isinstance(value, str) else json.dumps(value)
