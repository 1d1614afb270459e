"""State of a room at one moment, and the changes between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..session import PeerType, PeerView
from .models import Peer, Room


@dataclass(frozen=True, slots=True)
class LiveTrack:
    """A track published in a room.

    Attributes:
        id: Unique in the room.
        peer_id: Who publishes it.
        type: `audio` or `video`, None where the server does not say.
        metadata: What the publisher said about it.
    """

    id: str
    peer_id: str
    type: str | None = None
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room at one moment.

    Attributes:
        peers: Peer id to peer.
        tracks: Track id to track, of all peers.
    """

    peers: Mapping[str, PeerView] = field(default_factory=lambda: MappingProxyType({}))
    tracks: Mapping[str, LiveTrack] = field(default_factory=lambda: MappingProxyType({}))


Change = tuple[str, tuple[Any, ...]]
"""An event's name and its arguments."""


def state_of(room: Room) -> RoomState:
    """Return the state of a room that REST describes."""
    tracks = (
        LiveTrack(track.id, peer.id, track.type, track.metadata)
        for peer in room.peers
        for track in peer.tracks
        if track.id is not None
    )
    return RoomState(
        MappingProxyType({peer.id: _view(peer) for peer in room.peers}),
        MappingProxyType({track.id: track for track in tracks}),
    )


def _view(peer: Peer) -> PeerView:
    try:
        kind = PeerType(peer.type)
    except ValueError:
        # A kind newer than this version: to hear it is the lesser mistake.
        kind = PeerType.WEBRTC
    tracks = {track.id: track.metadata for track in peer.tracks if track.id is not None}
    return peer_view(peer.id, kind, peer.status == "connected", peer.metadata, tracks)


def peer_view(
    id: str, type: PeerType, connected: bool, metadata: Mapping[str, Any] | None, tracks: Mapping[str, Any]
) -> PeerView:
    """Build the view of a peer from Fishjam's metadata, `{"peer": {...}, "server": {...}}`.

    The peer writes its part itself, the server's part never changes (Fishjam docs, Metadata). Without such
    parts all of it is the peer's.
    """
    parts = metadata if isinstance(metadata, Mapping) else {}
    client, server = parts.get("peer", parts), parts.get("server")
    return PeerView(id, type, connected, metadata, tracks, _mapping(client), _mapping(server))


def _mapping(part: Any) -> Mapping[str, Any]:
    return part if isinstance(part, Mapping) else {}


def changes(old: RoomState, new: RoomState) -> Iterator[Change]:
    """Yield the changes between two moments, in an order in which they can have happened.

    The order is that of Fishjam's notifications: a peer is added before it connects, connects before it
    publishes, and takes its tracks with it before it goes.
    """
    for track in old.tracks.values():
        still = new.tracks.get(track.id)
        if still is None or still.peer_id != track.peer_id:
            yield "track_unpublished", (track, old.peers[track.peer_id])
    for peer in old.peers.values():
        after = new.peers.get(peer.id)
        if peer.connected and not (after is not None and after.connected):
            yield "peer_disconnected", (after or peer,)
        if after is None:
            yield "peer_removed", (peer,)
    for peer in new.peers.values():
        before = old.peers.get(peer.id)
        if before is None:
            yield "peer_added", (peer,)
        if peer.connected and not (before is not None and before.connected):
            yield "peer_connected", (peer,)
        if before is not None and before.metadata != peer.metadata:
            yield "peer_metadata_changed", (peer, before.metadata)
    for track in new.tracks.values():
        known = old.tracks.get(track.id)
        if known is None or known.peer_id != track.peer_id:
            yield "track_published", (track, new.peers[track.peer_id])
        elif known.metadata != track.metadata:
            yield "track_metadata_changed", (track, new.peers[track.peer_id], known.metadata)
