"""Writing the events of the peer socket, server to browser (`PeerMessage.server_media_event`).

Byte for byte what betterproto writes, which takes the better part of a millisecond for each: a hundred
browsers that join a room are ten thousand events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .wire import field, number, text

SPEECH = 2
"""`VadStatus` while someone speaks."""

SILENCE = 1
"""`VadStatus` while nobody does."""


def encode_connected(peer_id: str, endpoints: Mapping[str, str]) -> bytes:
    """`connected`: the client is in; `endpoints` are peer ids, its own too, and metadata as JSON text."""
    entries = [
        field(2, text(1, key) + field(2, text(2, "exwebrtc") + text(3, metadata)))
        for key, metadata in endpoints.items()
    ]
    return _event(7, text(1, peer_id) + b"".join(entries))


def encode_endpoint_added(peer_id: str, metadata: str) -> bytes:
    """`endpoint_added`: another peer is here."""
    return _event(5, text(1, peer_id) + text(2, metadata))


def encode_endpoint_updated(peer_id: str, metadata: str) -> bytes:
    """`endpoint_updated`: another peer has new metadata."""
    return _event(1, text(1, peer_id) + text(2, metadata))


def encode_endpoint_removed(peer_id: str) -> bytes:
    """`endpoint_removed`: another peer has left, with its tracks."""
    return _event(6, text(1, peer_id))


def encode_tracks_added(peer_id: str, tracks: Mapping[str, str]) -> bytes:
    """`tracks_added`: another peer publishes tracks, which are ids and metadata as JSON text."""
    # A config of simulcast that says no is empty, and must be there.
    entries = [
        field(2, text(1, key) + field(2, text(1, metadata) + field(2, b"")))
        for key, metadata in tracks.items()
    ]
    return _event(3, text(1, peer_id) + b"".join(entries))


def encode_tracks_removed(peer_id: str, track_ids: Iterable[str]) -> bytes:
    """`tracks_removed`: another peer publishes tracks no more."""
    return _event(4, text(1, peer_id) + b"".join(text(2, track_id) for track_id in track_ids))


def encode_track_updated(peer_id: str, track_id: str, metadata: str) -> bytes:
    """`track_updated`: another peer's track has new metadata."""
    return _event(2, text(1, peer_id) + text(2, track_id) + text(3, metadata))


def encode_offer_data(audio: int, video: int) -> bytes:
    """`offer_data`: the client is to make an offer that can take so many tracks."""
    return _event(9, field(1, number(1, audio) + number(2, video)))


def encode_sdp_answer(sdp: str, mid_to_track_id: Mapping[str, str]) -> bytes:
    """`sdp_answer`: the answer to its offer, with the tracks of both directions."""
    entries = [field(2, text(1, mid) + text(2, track_id)) for mid, track_id in mid_to_track_id.items()]
    return _event(11, text(1, sdp) + b"".join(entries))


def encode_vad_notification(track_id: str, speaking: bool) -> bytes:
    """`vad_notification`: someone began or ended to speak on a track."""
    return _event(12, text(1, track_id) + number(2, SPEECH if speaking else SILENCE))


def encode_error(message: str) -> bytes:
    """`error`: the client cannot go on, and does not try again."""
    return _event(8, text(1, message))


def _event(number: int, content: bytes) -> bytes:
    return field(6, field(number, content))
