"""The page's own codec of Fishjam's peer messages, against the messages of the generated Python code."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page

from fishjam_agents.protocol.generated import media, media_peer, media_server
from fishjam_agents.protocol.generated import peer as schema

from .page_kit import modules, run

SDP = "v=0\r\n" + "a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\n" * 400
METADATA = '{"peer":{"displayName":"Zo\u00eb \U0001f99c"},"server":{}}'


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    with modules(chromium) as opened:
        yield opened


def decoded(page: Page, message: bytes) -> Any:
    body = "return m.decode(Uint8Array.from(atob(a), (c) => c.charCodeAt(0)).buffer)"
    return run(page, "peer_protocol.js", body, base64.b64encode(message).decode())


def encoded(page: Page, message: dict[str, Any]) -> schema.PeerMessage:
    body = "return btoa(String.fromCharCode(...m.encode(a)))"
    return schema.PeerMessage().parse(base64.b64decode(run(page, "peer_protocol.js", body, message)))


def from_server(**event: Any) -> bytes:
    return bytes(schema.PeerMessage(server_media_event=media_server.MediaEvent(**event)))


def from_peer(**event: Any) -> schema.PeerMessage:
    return schema.PeerMessage(peer_media_event=media_peer.MediaEvent(**event))


def test_what_the_server_says_is_read(page: Page) -> None:
    track = media_server.Track(METADATA, media_server.TrackSimulcastConfig(enabled=True))
    connected = media_server.MediaEventConnected(
        "peer-1",
        {
            "peer-1": media_server.Endpoint("exwebrtc", METADATA),
            "bot": media_server.Endpoint("agent", "null"),
        },
        [media_server.IceServer("secret", ["turn:a", "turn:b"], "user")],
    )
    connected.endpoint_id_to_endpoint["bot"].track_id_to_track = {"voice": track}
    said = {
        "connected": from_server(connected=connected),
        "offerData": from_server(
            offer_data=media_server.MediaEventOfferData(media_server.MediaEventOfferDataTrackTypes(3, 1))
        ),
        "sdpAnswer": from_server(
            sdp_answer=media_server.MediaEventSdpAnswer(SDP, {"0": "voice", "1": "own"})
        ),
        "tracksRemoved": from_server(
            tracks_removed=media_server.MediaEventTracksRemoved("bot", ["voice", ""])
        ),
        "candidate": from_server(candidate=media.Candidate("candidate:1", -1, "0", "frag")),
        "endpointAdded": from_server(endpoint_added=media_server.MediaEventEndpointAdded("", METADATA)),
    }
    read = {name: decoded(page, message)["serverMediaEvent"] for name, message in said.items()}
    assert read["connected"]["connected"] == {
        "endpointId": "peer-1",
        "endpoints": {
            "peer-1": {"endpointType": "exwebrtc", "metadataJson": METADATA, "tracks": {}},
            "bot": {
                "endpointType": "agent",
                "metadataJson": "null",
                "tracks": {"voice": {"metadataJson": METADATA}},
            },
        },
        "iceServers": [{"credential": "secret", "urls": ["turn:a", "turn:b"], "username": "user"}],
    }
    assert read["offerData"]["offerData"] == {"tracksTypes": {"audio": 3, "video": 1}}
    assert read["sdpAnswer"]["sdpAnswer"] == {"sdp": SDP, "midToTrackId": {"0": "voice", "1": "own"}}
    assert read["tracksRemoved"]["tracksRemoved"] == {"endpointId": "bot", "trackIds": ["voice", ""]}
    assert read["candidate"]["candidate"] == {
        "candidate": "candidate:1",
        "sdpMLineIndex": -1,
        "sdpMid": "0",
        "usernameFragment": "frag",
    }
    assert read["endpointAdded"]["endpointAdded"] == {"endpointId": "", "metadataJson": METADATA}
    authenticated = schema.PeerMessageAuthenticated(room_type=schema.RoomType.CONFERENCE)
    assert decoded(page, bytes(schema.PeerMessage(authenticated=authenticated))) == {
        "authenticated": {"roomType": 1}
    }


def test_what_the_page_says_is_read_by_the_server(page: Page) -> None:
    request = encoded(page, {"authRequest": {"token": "tok", "sdkVersion": "web-1"}})
    assert request == schema.PeerMessage(auth_request=schema.PeerMessageAuthRequest("tok", "web-1"))
    offer = {
        "sdp": SDP,
        "trackIdToMetadataJson": {"p:1": METADATA},
        "trackIdToBitrates": {"p:1": {}},
        "midToTrackId": {"1": "p:1"},
    }
    assert encoded(page, {"peerMediaEvent": {"sdpOffer": offer}}) == from_peer(
        sdp_offer=media_peer.MediaEventSdpOffer(
            SDP, {"p:1": METADATA}, {"p:1": media_peer.MediaEventTrackBitrates()}, {"1": "p:1"}
        )
    )
    candidate = {"candidate": "c", "sdpMLineIndex": 300, "sdpMid": "1", "usernameFragment": "u"}
    assert encoded(page, {"peerMediaEvent": {"candidate": candidate}}) == from_peer(
        candidate=media.Candidate("c", 300, "1", "u")
    )
    assert encoded(page, {"peerMediaEvent": {"connect": {"metadataJson": METADATA}}}) == from_peer(
        connect=media_peer.MediaEventConnect(METADATA)
    )
    muted = {"trackId": "p:1", "metadataJson": '{"paused":true}'}
    assert encoded(page, {"peerMediaEvent": {"updateTrackMetadata": muted}}) == from_peer(
        update_track_metadata=media_peer.MediaEventUpdateTrackMetadata("p:1", '{"paused":true}')
    )
    for name, empty in {"renegotiateTracks": "renegotiate_tracks", "disconnect": "disconnect"}.items():
        sent = encoded(page, {"peerMediaEvent": {name: {}}})
        assert sent.peer_media_event.to_dict(include_default_values=False) == {name: {}}, empty


def test_fields_of_a_later_protocol_are_skipped(page: Page) -> None:
    # Field 99 as a number, as 64 bits, as bytes and as 32 bits, around one that is known.
    unknown = bytes.fromhex("98 06 ff 01 99 06 01 02 03 04 05 06 07 08 9a 06 02 61 62 9d 06 01 02 03 04")
    message = unknown + bytes(schema.PeerMessage(authenticated=schema.PeerMessageAuthenticated())) + unknown
    assert decoded(page, message) == {"authenticated": {"roomType": 0}}


@pytest.mark.parametrize("garbled", ["0a", "0aff01", "0a0508", "ffffffffffffffffffffff", "0b"])
def test_garble_is_refused(page: Page, garbled: str) -> None:
    with pytest.raises(Error, match=r"ProtocolError|message ends|ten bytes|wire type"):
        decoded(page, bytes.fromhex(garbled))
