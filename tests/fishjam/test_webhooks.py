from __future__ import annotations

import hashlib
import hmac
from typing import Any

import betterproto
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam import (
    StaleSdkError,
    decode_server_notifications,
    events,
    receive_binary,
    verify_webhook_signature,
)
from fishjam_agents.fishjam.events.allowed_notifications import ALLOWED_NOTIFICATIONS
from fishjam_agents.protocol.generated.notifications import (
    ServerMessage,
    ServerMessageAuthenticated,
    ServerMessageHlsPlayable,
    ServerMessageNotificationBatch,
)

NOT_NOTIFICATIONS = {
    "authenticated": "handshake",
    "auth_request": "handshake",
    "subscribe_request": "handshake",
    "subscribe_response": "handshake",
    "notification_batch": "an envelope",
    "component_crashed": "deprecated",
    "hls_playable": "deprecated",
    "hls_uploaded": "deprecated",
    "hls_upload_crashed": "deprecated",
    "stream_connected": "deprecated",
    "stream_disconnected": "deprecated",
}

# By hand, from the field numbers of the schema.
PEER_CONNECTED = bytes.fromhex("120c 0a0472 6f6f6d 1202 7031 1802".replace(" ", ""))


def body(**content: Any) -> bytes:
    return bytes(ServerMessage(**content))


def created(room: str) -> ServerMessage:
    return ServerMessage(room_created=events.ServerMessageRoomCreated(room))


def test_a_body_of_the_wire_is_read() -> None:
    (event,) = decode_server_notifications(PEER_CONNECTED)
    assert event == events.ServerMessagePeerConnected(
        room_id="room", peer_id="p1", peer_type=events.ServerMessagePeerType.PEER_TYPE_AGENT
    )


def test_every_message_is_a_notification_or_left_out_for_a_reason() -> None:
    messages = ServerMessage()._betterproto.cls_by_field
    for name, kind in messages.items():
        content: Any = kind()
        if name == "recording_status_changed":
            content.status = 1
        given = decode_server_notifications(body(**{name: content}))
        assert [type(event) for event in given] == ([] if name in NOT_NOTIFICATIONS else [kind]), name
    assert len(ALLOWED_NOTIFICATIONS) == len(ServerMessage()._betterproto.cls_by_field) - len(
        NOT_NOTIFICATIONS
    )


def test_enumerations_have_their_official_names() -> None:
    kind = events.ServerMessagePeerType.PEER_TYPE_VAPI
    (event,) = decode_server_notifications(
        body(peer_added=events.ServerMessagePeerAdded("r", "p", peer_type=kind))
    )
    assert isinstance(event, events.ServerMessagePeerAdded)
    assert (event.peer_type.name, event.peer_type) == ("PEER_TYPE_VAPI", 3)
    track = events.Track("t", events.TrackType.TRACK_TYPE_AUDIO, "null")
    (event,) = decode_server_notifications(
        body(track_forwarding=events.ServerMessageTrackForwarding("r", "p", "c", "i", audio_track=track))
    )
    assert isinstance(event, events.ServerMessageTrackForwarding)
    assert event.audio_track is not None
    assert event.audio_track.type.name == "TRACK_TYPE_AUDIO"
    assert event.video_track is None
    (event,) = decode_server_notifications(
        body(vad_notification=events.ServerMessageVadNotification("r", "p", "t", 2))
    )
    assert isinstance(event, events.ServerMessageVadNotification)
    assert event.status is events.ServerMessageVadNotificationStatus.STATUS_SPEECH


def test_a_peer_type_of_the_future_stays_a_number() -> None:
    (event,) = decode_server_notifications(
        body(peer_added=events.ServerMessagePeerAdded("r", "p", peer_type=9))
    )
    assert isinstance(event, events.ServerMessagePeerAdded)
    assert event.peer_type == 9


@pytest.mark.parametrize("status", [0, 5, 99])
def test_a_recording_status_that_is_not_known_is_an_error(status: int) -> None:
    changed = events.ServerMessageRecordingStatusChanged("rec", status, "null")
    with pytest.raises(StaleSdkError, match="update fishjam-agents") as caught:
        decode_server_notifications(body(recording_status_changed=changed))
    # Zero is protobuf's default and does not travel.
    assert caught.value.status == status


def test_a_batch_is_unpacked_in_order_and_what_is_no_notification_left_out() -> None:
    batch = ServerMessageNotificationBatch(
        [
            created("a"),
            ServerMessage(hls_playable=ServerMessageHlsPlayable("a")),
            created("b"),
            ServerMessage(notification_batch=ServerMessageNotificationBatch([created("nested")])),
        ]
    )
    data = body(notification_batch=batch)
    rooms = [events.ServerMessageRoomCreated("a"), events.ServerMessageRoomCreated("b")]
    assert decode_server_notifications(data) == rooms
    with pytest.warns(DeprecationWarning, match="decode_server_notifications") as caught:
        assert receive_binary(data) == rooms
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:receive_binary:DeprecationWarning")
def test_the_older_function_gives_one_notification_or_none() -> None:
    assert receive_binary(bytes(created("a"))) == events.ServerMessageRoomCreated("a")
    assert receive_binary(body(authenticated=ServerMessageAuthenticated())) is None
    assert receive_binary(b"") is None


@given(st.binary(max_size=60))
def test_any_body_is_notifications_or_an_error_of_ours(data: bytes) -> None:
    try:
        for event in decode_server_notifications(data):
            assert isinstance(event, ALLOWED_NOTIFICATIONS)
    except FishjamAgentsError as error:
        assert str(error)  # noqa: PT017


def test_what_is_not_bytes_is_an_error_of_ours() -> None:
    with pytest.raises(ProtocolError):
        decode_server_notifications("text")  # type: ignore[arg-type]


def signed(data: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


@given(st.binary(max_size=30), st.text(max_size=10))
def test_a_signature_is_taken_with_and_without_its_prefix(data: bytes, secret: str) -> None:
    signature = signed(data, secret)
    for header in (signature, f"sha256={signature}", f"  sha256={signature}\n"):
        assert verify_webhook_signature(data, header, secret)
    assert not verify_webhook_signature(data + b"x", signature, secret)
    assert not verify_webhook_signature(data, signature, secret + "x")


@given(st.text(max_size=80))
def test_no_forged_signature_passes_or_breaks(signature: str) -> None:
    assert not verify_webhook_signature(b"body", signature, "secret")


def test_a_request_without_a_signature_is_not_from_fishjam() -> None:
    assert not verify_webhook_signature(b"body", None, "secret")


def test_betterproto_messages_match_by_their_fields() -> None:
    match decode_server_notifications(PEER_CONNECTED)[0]:
        case events.ServerMessagePeerConnected(room_id=room, peer_id=peer):
            assert (room, peer) == ("room", "p1")
        case other:
            raise AssertionError(betterproto.which_one_of(other, "content"))
