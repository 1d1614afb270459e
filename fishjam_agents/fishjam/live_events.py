"""The events of a `LiveRoom`, and the states of its connection."""

from __future__ import annotations

import enum

from ..errors import ConfigError

ROOM_EVENTS = {
    "peer_added": "(peer): a `PeerView`; it may join from now on",
    "peer_removed": "(peer)",
    "peer_connected": "(peer): its socket is open",
    "peer_disconnected": "(peer)",
    "peer_metadata_changed": "(peer, previous)",
    "peer_crashed": "(peer_id, reason): the server gave it up; `peer_removed` follows",
    "track_published": "(track, peer): a `LiveTrack`",
    "track_unpublished": "(track, peer)",
    "track_metadata_changed": "(track, peer, previous): a mute, for one",
    "active_speakers_changed": "(peers): those on whose tracks the server hears speech",
    "connection_state_changed": "(state): a `ConnectionState`",
    "connected": "(): the room is known",
    "reconnecting": "(): it is not known what happens there",
    "reconnected": "(): what was missed has been told",
    "disconnected": "(error): following the room is over; None if nothing went wrong",
    "room_deleted": "()",
}
"""Event to the arguments of its handlers."""


class ConnectionState(enum.Enum):
    """State of a `LiveRoom`'s connection; its room is known only while it is connected."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


def check_event(event: str) -> None:
    """Refuse what is no event of a room.

    Raises:
        ConfigError: There is no such event.
    """
    if event == "data_received":
        raise ConfigError(
            "a room has no event 'data_received': Fishjam passes data channels between browsers "
            "and shows their messages to no server"
        )
    if event not in ROOM_EVENTS:
        raise ConfigError(f"a room has no event {event!r}: use one of {', '.join(sorted(ROOM_EVENTS))}")
