from __future__ import annotations

import contextlib

import betterproto
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.errors import ProtocolError
from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import agent, media_peer, media_server, notifications, peer, shared
from fishjam_agents.protocol.generated.media import ChannelMessage
from fishjam_agents.protocol.generated.notifications import ServerMessage

from .wire_strategies import messages_of

TOP_LEVEL = [agent.AgentRequest, agent.AgentResponse, ServerMessage, peer.PeerMessage, ChannelMessage]
top_level = st.sampled_from(TOP_LEVEL)


@settings(deadline=None)
@given(st.data())
def test_every_well_formed_message_decodes_as_betterproto_decodes_it(data: st.DataObject) -> None:
    message_class = data.draw(top_level)
    raw = data.draw(messages_of(message_class))
    assert encode(decode(message_class, raw)) == bytes(message_class().parse(raw))


@settings(deadline=None)
@given(top_level, st.binary(max_size=300))
def test_garbage_is_a_message_or_a_protocol_error(
    message_class: type[betterproto.Message], raw: bytes
) -> None:
    with contextlib.suppress(ProtocolError):
        decode(message_class, raw)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_message_is_a_message_or_a_protocol_error(data: st.DataObject) -> None:
    message_class = data.draw(top_level)
    raw = bytearray(data.draw(messages_of(message_class)))
    for _ in range(data.draw(st.integers(1, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        decode(message_class, bytes(raw))


def test_every_truncation_is_refused() -> None:
    raw = encode(
        ServerMessage(
            track_added=notifications.ServerMessageTrackAdded(
                room_id="room",
                peer_id="peer",
                track=shared.Track("track", shared.TrackType(2), "null"),
            )
        )
    )
    assert decode(ServerMessage, raw).track_added.track.id == "track"
    for size in range(1, len(raw)):
        with pytest.raises(ProtocolError):
            decode(ServerMessage, raw[:size])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("02 00", "0 is not a field number"),
        ("80 80 80 80 80 01", "is not a field number"),
        ("0b", "field 1 has wire type 3"),
        ("0c", "field 1 has wire type 4"),
        ("fb 01", "field 31 has wire type 3"),
        ("fe 01", "field 31 has wire type 6"),
        ("08 01", "field 1 has wire type 0"),
        ("fd 01 00 00 00", "field 31 is cut off"),
        ("f9 01 00", "field 31 is cut off"),
        ("0a", "a number is cut off"),
        ("0a 02 0a", "field 1 is cut off"),
        ("0a 03 0a 02 41", "field 1 is cut off"),
        ("f8 01 ff ff ff ff ff ff ff ff ff ff 01", "longer than ten bytes"),
        ("f8 01 ff ff ff ff ff ff ff ff ff 02", "exceeds 64 bits"),
        ("0a 03 0a 01 ff", "byte 4: a text is not UTF-8"),
    ],
)
def test_a_malformed_message_is_refused_with_its_reason(raw: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        decode(agent.AgentRequest, bytes.fromhex(raw))


def test_a_length_that_reaches_past_its_submessage_is_refused() -> None:
    # The inner text claims a byte that belongs to the next field of the outer message.
    with pytest.raises(ProtocolError, match="field 1 is cut off"):
        decode(agent.AgentRequest, bytes.fromhex("0a 03 0a 02 41 42 00"))


def test_a_text_frame_is_refused() -> None:
    with pytest.raises(ProtocolError, match="must send binary frames"):
        decode(agent.AgentResponse, "\n\x00")  # type: ignore[arg-type]


def test_endless_nesting_is_refused() -> None:
    raw = b""
    for _ in range(200):
        raw = encode(ServerMessage()) + _notification_batch(raw)
    with pytest.raises(ProtocolError, match="nested deeper"):
        decode(ServerMessage, raw)


def _notification_batch(member: bytes) -> bytes:
    from .wire_strategies import key, with_length

    return key(33, 2) + with_length(key(1, 2) + with_length(member))


@pytest.mark.parametrize(
    ("message", "raw"),
    [
        (agent.AgentRequest(auth_request=agent.AgentRequestAuthRequest("t")), "0a 03 0a 01 74"),
        (agent.AgentResponse(authenticated=agent.AgentResponseAuthenticated()), "0a 00"),
        (ServerMessage(authenticated=notifications.ServerMessageAuthenticated()), "32 00"),
        (
            ServerMessage(
                subscribe_request=notifications.ServerMessageSubscribeRequest(notifications.EventType(1))
            ),
            "42 02 08 01",
        ),
        (
            ServerMessage(
                subscribe_response=notifications.ServerMessageSubscribeResponse(notifications.EventType(1))
            ),
            "4a 02 08 01",
        ),
        (
            peer.PeerMessage(auth_request=peer.PeerMessageAuthRequest("tok", "web-0.25.1")),
            "12 11 0a 03 74 6f 6b 12 0a 77 65 62 2d 30 2e 32 35 2e 31",
        ),
        (peer.PeerMessage(authenticated=peer.PeerMessageAuthenticated(peer.RoomType(1))), "0a 02 08 01"),
    ],
)
def test_the_published_byte_examples_are_written_and_read(message: betterproto.Message, raw: str) -> None:
    assert encode(message) == bytes.fromhex(raw)
    assert decode(type(message), bytes.fromhex(raw)) == message


def test_maps_and_nested_media_events_survive_the_round_trip() -> None:
    offer = media_peer.MediaEventSdpOffer(
        "v=0", {"t": "{}"}, {"t": media_peer.MediaEventTrackBitrates("t")}, {"0": "t"}
    )
    message = peer.PeerMessage(peer_media_event=media_peer.MediaEvent(sdp_offer=offer))
    again = decode(peer.PeerMessage, encode(message))
    assert again.peer_media_event.sdp_offer.mid_to_track_id == {"0": "t"}
    assert again.peer_media_event.sdp_offer.track_id_to_bitrates["t"].track_id == "t"

    endpoint = media_server.Endpoint("agent", "null", {"t": media_server.Track("{}")})
    connected = media_server.MediaEventConnected("me", {"me": endpoint})
    answer = decode(
        peer.PeerMessage,
        encode(peer.PeerMessage(server_media_event=media_server.MediaEvent(connected=connected))),
    )
    assert (
        answer.server_media_event.connected.endpoint_id_to_endpoint["me"].track_id_to_track["t"].metadata_json
        == "{}"
    )
