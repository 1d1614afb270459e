"""The light encoder of the peer socket writes what betterproto writes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.protocol import encode, peer_encoder
from fishjam_agents.protocol.generated import media_server as schema
from fishjam_agents.protocol.generated.peer import PeerMessage
from fishjam_agents.protocol.generated.shared import VadStatus

texts = st.text(max_size=150)
# Ids are never empty: betterproto leaves the entry of two empty texts out, which no reader minds.
maps = st.dictionaries(texts.filter(bool), texts, max_size=4)
counts = st.integers(0, 1000)


def event(**content: Any) -> bytes:
    return encode(PeerMessage(server_media_event=schema.MediaEvent(**content)))


@given(texts, maps)
def test_connected(peer_id: str, endpoints: dict[str, str]) -> None:
    made = {
        key: schema.Endpoint(endpoint_type="exwebrtc", metadata_json=metadata)
        for key, metadata in endpoints.items()
    }
    expected = schema.MediaEventConnected(endpoint_id=peer_id, endpoint_id_to_endpoint=made)
    assert peer_encoder.encode_connected(peer_id, endpoints) == event(connected=expected)


@given(texts, maps)
def test_tracks_added(peer_id: str, tracks: dict[str, str]) -> None:
    config = schema.TrackSimulcastConfig(enabled=False)
    made = {key: schema.Track(metadata_json=text, simulcast_config=config) for key, text in tracks.items()}
    encoded = peer_encoder.encode_tracks_added(peer_id, tracks)
    # betterproto leaves the empty config out; both are read the same.
    read = PeerMessage().parse(encoded).server_media_event.tracks_added
    assert read.endpoint_id == peer_id
    assert {key: track.metadata_json for key, track in read.track_id_to_track.items()} == tracks
    assert not any(track.simulcast_config.enabled for track in read.track_id_to_track.values())
    assert set(made) == set(read.track_id_to_track)


@given(texts, texts, texts, st.lists(texts.filter(bool), max_size=3))
def test_texts(one: str, two: str, three: str, many: list[str]) -> None:
    for encoded, content in (
        (
            peer_encoder.encode_endpoint_added(one, two),
            {"endpoint_added": schema.MediaEventEndpointAdded(endpoint_id=one, metadata_json=two)},
        ),
        (
            peer_encoder.encode_endpoint_updated(one, two),
            {"endpoint_updated": schema.MediaEventEndpointUpdated(endpoint_id=one, metadata_json=two)},
        ),
        (
            peer_encoder.encode_endpoint_removed(one),
            {"endpoint_removed": schema.MediaEventEndpointRemoved(endpoint_id=one)},
        ),
        (
            peer_encoder.encode_tracks_removed(one, many),
            {"tracks_removed": schema.MediaEventTracksRemoved(endpoint_id=one, track_ids=many)},
        ),
        (
            peer_encoder.encode_track_updated(one, two, three),
            {
                "track_updated": schema.MediaEventTrackUpdated(
                    endpoint_id=one, track_id=two, metadata_json=three
                )
            },
        ),
        (peer_encoder.encode_error(one), {"error": schema.MediaEventError(message=one)}),
    ):
        assert encoded == event(**content)


@given(counts, counts)
def test_offer_data(audio: int, video: int) -> None:
    types = schema.MediaEventOfferDataTrackTypes(audio=audio, video=video)
    encoded = peer_encoder.encode_offer_data(audio, video)
    assert encoded == event(offer_data=schema.MediaEventOfferData(tracks_types=types))


@given(texts, maps)
def test_sdp_answer(sdp: str, mids: dict[str, str]) -> None:
    encoded = peer_encoder.encode_sdp_answer(sdp, mids)
    assert encoded == event(sdp_answer=schema.MediaEventSdpAnswer(sdp=sdp, mid_to_track_id=mids))


@given(texts, st.booleans())
def test_vad_notification(track_id: str, speaking: bool) -> None:
    status = VadStatus(VadStatus.SPEECH if speaking else VadStatus.SILENCE)
    encoded = peer_encoder.encode_vad_notification(track_id, speaking)
    assert encoded == event(
        vad_notification=schema.MediaEventVadNotification(track_id=track_id, status=status)
    )
