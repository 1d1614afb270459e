"""The endpoints for rooms, peers, subscriptions, livestreams and MoQ.

Each public function defines one method of both clients: it takes the method's arguments and returns the
request. `make clients` writes the methods, with signature and docstring, to `blocking_endpoints` and
`async_endpoints`. A keyword `_url` is no argument of the method: clients pass the server's base URL there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .addressing import agent_base_url
from .json_model import as_list, as_object, as_text
from .models import MoqAccess, Peer, PeerAccess, Room, RoomConfig
from .options import AgentOptions, PeerOptions, PeerOptionsVapi, RoomOptions
from .requests import Request, Validation, data_of, encoded, nothing

if TYPE_CHECKING:
    from .agent import Agent


def check_credentials() -> Request[None]:
    """Ask the server whether it knows the ID and the token.

    Raises:
        InvalidFishjamCredentialsError: It does not.
    """
    return Validation("GET", "/validate", nothing)


def create_room(options: RoomOptions | None = None) -> Request[Room]:
    """Make a room.

    Args:
        options: What to make it with; a conference without limits if left out.
    """
    options = options or RoomOptions()
    config = RoomConfig(
        batch_webhook_notifications=options.batch_webhook_notifications,
        max_peers=options.max_peers,
        public=options.public,
        room_type=options.room_type,
        video_codec=options.video_codec,
        webhook_url=options.webhook_url,
    )
    return Request("POST", "/room", _new_room, config.to_dict())


def get_all_rooms() -> Request[list[Room]]:
    """All rooms, livestreams included."""
    return Request("GET", "/room", _rooms)


def get_room(room_id: str) -> Request[Room]:
    """The room as it is now."""
    return Request("GET", _room(room_id), lambda value: Room.from_dict(data_of(value)))


def delete_room(room_id: str) -> Request[None]:
    """Delete a room and everybody in it."""
    return Request("DELETE", _room(room_id), nothing)


def create_peer(room_id: str, options: PeerOptions | None = None) -> Request[tuple[Peer, str]]:
    """Make a peer for a browser or an app.

    Args:
        room_id: The room.
        options: What to make it with.

    Returns:
        The peer and its token.
    """
    options = options or PeerOptions()
    body = {"metadata": dict(options.metadata or {}), "subscribeMode": options.subscribe_mode}
    return Request("POST", f"{_room(room_id)}/peer", _peer_and_token, {"type": "webrtc", "options": body})


def create_agent(room_id: str, options: AgentOptions | None = None, *, _url: str) -> Request[Agent]:
    """Make an agent. It is in the room until deleted, and hears once `Agent.connect` is entered.

    Args:
        room_id: The room.
        options: What to make it with; it hears every track at 16 kHz if left out.

    Returns:
        The agent; enter its `connect` to join the room.
    """

    def read(value: Any) -> Agent:
        # Imported here because it brings WebSockets, which REST does without.
        from .agent import Agent

        access = _access(value)
        return Agent(access.peer.id, room_id, access.token, agent_base_url(_url, access.websocket_url))

    options = options or AgentOptions()
    output = {
        "audioFormat": options.output.audio_format,
        "audioSampleRate": options.output.audio_sample_rate,
    }
    body = {"output": output, "subscribeMode": options.subscribe_mode}
    request = {"type": "agent", "options": body}
    return Request("POST", f"{_room(room_id)}/peer", read, request)


def create_vapi_agent(room_id: str, options: PeerOptionsVapi) -> Request[Peer]:
    """Bring a VAPI call into the room.

    Args:
        room_id: The room.
        options: The call and the key to it.

    Returns:
        The call's peer. A wrong key or call shows later, as a `ServerMessagePeerCrashed`.
    """
    body: dict[str, Any] = {
        "apiKey": options.api_key,
        "callId": options.call_id,
        "autoClose": options.auto_close,
    }
    if options.subscribe_mode is not None:
        body["subscribeMode"] = options.subscribe_mode
    request = {"type": "vapi", "options": body}
    return Request("POST", f"{_room(room_id)}/peer", lambda value: _access(value).peer, request)


def delete_peer(room_id: str, peer_id: str) -> Request[None]:
    """Delete a peer or an agent; if it is connected, it is cut off."""
    return Request("DELETE", _peer(room_id, peer_id), nothing)


def refresh_peer_token(room_id: str, peer_id: str) -> Request[str]:
    """A new token for a peer; tokens are valid for a day."""
    return Request(
        "POST",
        f"{_peer(room_id, peer_id)}/refresh_token",
        lambda value: as_text(data_of(value), "token", "an answer"),
        repeatable=True,
    )


def subscribe_peer(room_id: str, peer_id: str, target_peer_id: str) -> Request[None]:
    """Let a `manual` peer get all tracks of another, those it publishes later included.

    Args:
        room_id: The room.
        peer_id: Who gets them.
        target_peer_id: Whose tracks.
    """
    path = f"{_peer(room_id, peer_id)}/subscribe_peer"
    return Request("POST", path, nothing, query={"peer_id": target_peer_id}, repeatable=True)


def subscribe_tracks(room_id: str, peer_id: str, track_ids: list[str]) -> Request[None]:
    """Let a `manual` peer get single tracks. Subscriptions add up; there is no way back.

    Args:
        room_id: The room.
        peer_id: Who gets them.
        track_ids: Which tracks.
    """
    path = f"{_peer(room_id, peer_id)}/subscribe_tracks"
    return Request("POST", path, nothing, {"track_ids": list(track_ids)}, repeatable=True)


def forward_room_tracks(room_id: str, composition_url: str) -> Request[None]:
    """Forward every track of the room, now and later, into a composition.

    Args:
        room_id: The room.
        composition_url: The composition.
    """
    body = {"compositionURL": composition_url, "selector": "all"}
    return Request("POST", f"{_room(room_id)}/track_forwardings", nothing, body)


def create_livestream_viewer_token(room_id: str) -> Request[str]:
    """A token to watch a livestream room with."""
    return Request("POST", f"{_room(room_id)}/viewer", _token, repeatable=True)


def create_livestream_streamer_token(room_id: str) -> Request[str]:
    """A token to publish into a livestream room with."""
    return Request("POST", f"{_room(room_id)}/streamer", _token, repeatable=True)


def create_moq_access(
    publish_path: str | None = None, subscribe_path: str | None = None, ttl: int | None = None
) -> Request[MoqAccess]:
    """Access to the MoQ relay, for publishing, for subscribing or for both.

    Args:
        publish_path: What may be published: this path and all below it.
        subscribe_path: What may be subscribed to: this path and all below it.
        ttl: Seconds it is valid, 604800 at most; an hour if left out.
    """
    body: dict[str, Any] = {"publishPath": publish_path, "subscribePath": subscribe_path}
    if ttl is not None:
        body["ttl"] = ttl
    read = MoqAccess.from_dict
    return Request("POST", "/moq/access", lambda value: read(as_object(value, "MoQ access")), body)


def create_moq_token(publish_path: str | None = None, subscribe_path: str | None = None) -> Request[str]:
    """The token alone of what `create_moq_access` gives, under its older name."""
    access = create_moq_access(publish_path, subscribe_path)
    return Request("POST", access.path, lambda value: access.read(value).token, access.body)


def _room(room_id: str) -> str:
    return f"/room/{encoded(room_id)}"


def _peer(room_id: str, peer_id: str) -> str:
    return f"{_room(room_id)}/peer/{encoded(peer_id)}"


def _new_room(value: Any) -> Room:
    return Room.from_dict(as_object(data_of(value).get("room"), "a room"))


def _rooms(value: Any) -> list[Room]:
    rooms = as_list(as_object(value, "an answer").get("data"), "a list of rooms")
    return [Room.from_dict(room) for room in rooms]


def _access(value: Any) -> PeerAccess:
    return PeerAccess.from_dict(data_of(value))


def _peer_and_token(value: Any) -> tuple[Peer, str]:
    access = _access(value)
    return access.peer, access.token


def _token(value: Mapping[str, Any]) -> str:
    return as_text(as_object(value, "an answer"), "token", "an answer")
