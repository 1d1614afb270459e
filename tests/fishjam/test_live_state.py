"""State of a room at one moment, and the differences between two."""

from __future__ import annotations

from typing import Any

import pytest

from fishjam_agents.fishjam.live_state import LiveTrack, RoomState, changes, peer_view
from fishjam_agents.session import PeerType, PeerView


def state(*peers: PeerView) -> RoomState:
    tracks = {id: LiveTrack(id, peer.id, "audio", data) for peer in peers for id, data in peer.tracks.items()}
    return RoomState({peer.id: peer for peer in peers}, tracks)


def peer(id: str, connected: bool = True, metadata: Any = None, **tracks: Any) -> PeerView:
    return PeerView(id, PeerType.WEBRTC, connected, metadata, tracks)


@pytest.mark.parametrize(
    ("metadata", "client", "server"),
    [
        ({"peer": {"talking": True}, "server": {"name": "Ann"}}, {"talking": True}, {"name": "Ann"}),
        ({"peer": {}, "server": {"talking": True}}, {}, {"talking": True}),
        ({"name": "Ann"}, {"name": "Ann"}, {}),
        ({"peer": None, "server": ["Ann"]}, {}, {}),
        (None, {}, {}),
    ],
)
def test_a_view_tells_what_a_peer_writes_from_what_the_application_does(
    metadata: Any, client: Any, server: Any
) -> None:
    view = peer_view("a", PeerType.WEBRTC, True, metadata, {})
    assert (view.metadata, view.client_metadata, view.server_metadata) == (metadata, client, server)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (state(), state(), []),
        (state(), state(peer("a", t=1)), ["peer_added", "peer_connected", "track_published"]),
        (state(peer("a", t=1)), state(), ["track_unpublished", "peer_disconnected", "peer_removed"]),
        (state(peer("a", t=1)), state(peer("a", t=2)), ["track_metadata_changed"]),
        (state(peer("a", t=1)), state(peer("a", u=1)), ["track_unpublished", "track_published"]),
        (
            state(peer("a", False)),
            state(peer("a", True, {"x": 1})),
            ["peer_connected", "peer_metadata_changed"],
        ),
        (state(peer("a", t=1)), state(peer("a", False)), ["track_unpublished", "peer_disconnected"]),
    ],
)
def test_the_difference_of_two_moments_is_told_in_the_order_it_can_have_happened(
    before: RoomState, after: RoomState, names: list[str]
) -> None:
    assert [name for name, _ in changes(before, after)] == names
