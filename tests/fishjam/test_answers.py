"""What the server answers: read, refused, and damaged in every way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishjam_agents.errors import FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam import (
    CompositionSource,
    PeerMetadata,
    PeerOptionsVapi,
    PeerStatus,
    Recording,
    RecordingStatus,
    Room,
    Subscriptions,
    TemplateSource,
    Track,
    calls,
    endpoints,
    errors,
    recording_endpoints,
)
from fishjam_agents.fishjam.models import PeerAccess
from fishjam_agents.fishjam.requests import Request

URL = "http://127.0.0.1:5002"

ROOM: dict[str, Any] = {
    "id": "r",
    "config": {
        "maxPeers": 0,
        "videoCodec": "h264",
        "roomType": "conference",
        "public": False,
        "batchWebhookNotifications": False,
        "webhookUrl": None,
        "future": 1,
    },
    "peers": [
        {
            "id": "p",
            "type": "hologram",
            "status": "connected",
            "metadata": {"peer": {}, "server": {"name": "Ann"}},
            "subscribeMode": "auto",
            "subscriptions": {"peers": [], "tracks": ["t"]},
            "tracks": [{"id": "t", "type": "audio", "metadata": {"type": "microphone"}, "future": 2}],
            "future": 3,
        }
    ],
    "compositionInfo": {
        "compositionUrl": "http://c",
        "forwardings": [{"inputId": "i", "peerId": "p", "audioTrackId": "t", "videoTrackId": None}],
    },
    "future": 4,
}


RECORDING: dict[str, Any] = {
    "id": "rec",
    "source": {"compositionURL": "http://c", "outputId": "o", "scaleRatio": 0.5},
    "status": "available",
    "files": [{"url": "http://f/1"}],
    "metadata": {"env": "prod"},
    "future": 5,
}


def reply(value: Any) -> bytes:
    return json.dumps(value).encode()


def without(value: Any, key: str) -> Any:
    """A copy in which no object has the key."""
    if isinstance(value, dict):
        return {name: without(item, key) for name, item in value.items() if name != key}
    return [without(item, key) for item in value] if isinstance(value, list) else value


def test_a_room_keeps_what_this_version_does_not_know() -> None:
    room = endpoints.get_room("r").answer(200, reply({"data": ROOM}))
    assert room.config.additional_properties == {"future": 1}
    assert room.config.max_peers == 0
    assert room["future"] == 4
    (peer,) = room.peers
    assert (peer.type, peer.type_, peer.additional_keys) == ("hologram", "hologram", ["future"])
    assert peer.status is PeerStatus.CONNECTED
    assert peer.status == "connected"
    assert peer.subscriptions == Subscriptions(tracks=["t"])
    assert isinstance(peer.metadata, PeerMetadata)
    assert peer.metadata == {"peer": {}, "server": {"name": "Ann"}} == peer.metadata.to_dict()
    assert peer.metadata.additional_properties["server"]["name"] == "Ann"
    track = Track("t", {"type": "microphone"}, "audio", additional_properties={"future": 2})
    assert peer.tracks == [track]
    assert room.composition_info is not None
    assert room.composition_info.forwardings[0].audio_track_id == "t"
    assert endpoints.get_all_rooms().answer(200, reply({"data": [ROOM]})) == [room]
    assert endpoints.create_room().answer(201, reply({"data": {"room": ROOM}})) == room


def test_what_was_read_is_written_again() -> None:
    assert Room.from_dict(ROOM).to_dict() == ROOM
    assert Recording.from_dict(RECORDING).to_dict() == RECORDING


@pytest.mark.parametrize(
    "key", ["config", "peers", "compositionInfo", "metadata", "subscribeMode", "subscriptions", "tracks"]
)
def test_what_is_optional_may_be_missing_from_a_room(key: str) -> None:
    assert Room.from_dict(without(ROOM, key)).id == "r"


@pytest.mark.parametrize("key", ["id", "status", "type"])
def test_what_every_room_has_is_missed(key: str) -> None:
    with pytest.raises(ProtocolError, match=rf"without '{key}'"):
        Room.from_dict(without(ROOM | {"peers": [{"id": "p", "status": "connected"}]}, key))


def test_a_recording_is_read() -> None:
    recording = recording_endpoints.get_recording("rec").answer(200, reply({"data": RECORDING}))
    assert recording.source == CompositionSource("http://c", "o", 0.5)
    assert recording.status is RecordingStatus.AVAILABLE
    assert [file.url for file in recording.files] == ["http://f/1"]
    assert recording.metadata == {"env": "prod"}
    assert Recording.from_dict(without(without(RECORDING, "files"), "metadata")).files == []
    template = Recording.from_dict(RECORDING | {"source": {"compositionURL": "http://c", "audio": False}})
    assert template.source == TemplateSource("http://c", audio=False)
    newer = Recording.from_dict(RECORDING | {"source": {"hologram": 1}, "status": "beamed"})
    assert (newer.source, newer.status) == ({"hologram": 1}, "beamed")


def test_a_new_peer_comes_with_a_token_that_is_not_shown() -> None:
    data = {"peer": ROOM["peers"][0], "token": "secret", "peer_websocket_url": "node/socket/peer/websocket"}
    access = PeerAccess.from_dict(data)
    assert access.token == "secret"
    assert access.websocket_url == "node/socket/peer/websocket"
    agent = endpoints.create_agent("r", _url=URL).answer(201, reply({"data": data}))
    assert (agent.id, agent.room_id) == (access.peer.id, "r")
    assert "secret" not in repr(access) + repr(agent)
    assert endpoints.create_peer("r").answer(201, reply({"data": data})) == (access.peer, "secret")


def test_empty_answers_are_taken_where_nothing_is_expected() -> None:
    endpoints.delete_room("r").answer(204, b"")
    endpoints.check_credentials().answer(200, b"")
    endpoints.check_credentials().answer(200, b"OK")
    assert endpoints.refresh_peer_token("r", "p").answer(201, reply({"data": {"token": "t"}})) == "t"
    assert endpoints.create_livestream_viewer_token("r").answer(201, reply({"token": "t"})) == "t"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.UnauthorizedError),
        (402, errors.QuotaExceededError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (422, errors.BadRequestError),
        (429, errors.InternalServerError),
        (500, errors.InternalServerError),
        (503, errors.ServiceUnavailableError),
    ],
)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": "why"}', "why"),
        (b'{"errors": {"detail": "Not Found"}}', "Not Found"),
        (b"<html>", "<html>"),
        (b"", "no reason given"),
    ],
)
def test_a_refusal_is_its_own_error_with_the_servers_words(
    status: int, kind: type[errors.HTTPError], body: bytes, words: str
) -> None:
    with pytest.raises(kind, match="GET /room/r was answered") as caught:
        endpoints.get_room("r").answer(status, body)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.body, error.request) == (status, body.decode(), "GET /room/r")
    assert error.args[0] in (words, "")
    assert words in str(error)


@pytest.mark.parametrize("status", [401, 404])
def test_wrong_credentials_have_their_own_error(status: int) -> None:
    with pytest.raises(errors.InvalidFishjamCredentialsError):
        endpoints.check_credentials().answer(status, b"")


def test_a_server_that_fails_to_validate_is_not_taken_for_consent() -> None:
    with pytest.raises(errors.InternalServerError):
        endpoints.check_credentials().answer(500, b"")


def test_a_redirect_is_refused() -> None:
    with pytest.raises(ProtocolError, match="redirected"):
        endpoints.get_room("r").answer(307, b"")


REQUESTS: list[Request[Any]] = [
    endpoints.check_credentials(),
    endpoints.create_room(),
    endpoints.get_room("r"),
    endpoints.get_all_rooms(),
    endpoints.delete_room("r"),
    endpoints.create_peer("r"),
    endpoints.create_agent("r", _url=URL),
    endpoints.create_vapi_agent("r", PeerOptionsVapi("k", "c")),
    endpoints.refresh_peer_token("r", "p"),
    endpoints.create_livestream_viewer_token("r"),
    endpoints.create_moq_access("p"),
    endpoints.create_moq_token("p"),
    recording_endpoints.get_recording("r"),
    recording_endpoints.get_all_recordings(),
]


KEYS = [
    *("data", "room", "peer", "token", "peer_websocket_url", "connection_url", "errors", "detail"),
    *ROOM,
    *ROOM["config"],
    *ROOM["peers"][0],
    *ROOM["compositionInfo"],
    *RECORDING,
    *RECORDING["source"],
]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=15,
)


@st.composite
def damaged_answers(draw: st.DrawFn) -> Any:
    """A good answer in which one value has become something else."""
    answer = json.loads(
        json.dumps({"data": draw(st.sampled_from([ROOM, RECORDING, [ROOM], {"room": ROOM}]))})
    )
    place: Any = answer
    while True:
        name = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not place[name] or not isinstance(place[name], dict | list) or draw(st.booleans()):
            place[name] = draw(json_values)
            return answer
        place = place[name]


@given(st.integers(200, 599), damaged_answers().map(reply) | json_values.map(reply) | st.binary(max_size=20))
def test_any_answer_is_a_result_or_an_error_of_ours(status: int, content: bytes) -> None:
    for request in REQUESTS:
        try:
            request.answer(status, content)
        except FishjamAgentsError as error:
            assert str(error)  # noqa: PT017


def test_a_bottomless_answer_is_an_error_of_ours() -> None:
    for status in (200, 400):
        with pytest.raises(FishjamAgentsError):
            endpoints.get_room("r").answer(status, b"[" * 100_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('{"status": "deprecated", "message": "old"}', (DeprecationWarning, "old")),
        ('{"status": "unsupported", "message": "too old"}', (UserWarning, "too old")),
        ('{"status": "up_to_date", "message": "fine"}', None),
        ('{"status": "deprecated"}', None),
        ('{"status": [], "message": {}}', None),
        ("old", None),
        ("[]", None),
        (None, None),
    ],
)
def test_the_deprecation_header_is_read(header: str | None, expected: object) -> None:
    assert calls.deprecation(header) == expected


@given(json_values.map(json.dumps) | st.text(max_size=20))
def test_no_deprecation_header_breaks_a_call(header: str) -> None:
    calls.deprecation(header)
