from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishjam_agents.errors import FishjamAgentsError, ProtocolError
from fishjam_agents.fishjam import errors, requests
from fishjam_agents.fishjam.models import (
    AgentOptions,
    AgentOutputOptions,
    PeerAccess,
    PeerOptions,
    RoomOptions,
    Track,
)

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
            "metadata": None,
            "subscribeMode": "auto",
            "subscriptions": {"peers": [], "tracks": []},
            "tracks": [{"id": "t", "type": "audio", "metadata": {"type": "microphone"}, "future": 2}],
            "future": 3,
        }
    ],
    "compositionInfo": None,
}


def reply(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_room_is_asked_for_as_the_official_sdk_asks() -> None:
    request = requests.create_room(RoomOptions())
    assert (request.method, request.path) == ("POST", "/room")
    assert request.body == {
        "batchWebhookNotifications": False,
        "maxPeers": None,
        "public": False,
        "roomType": "conference",
        "webhookUrl": None,
    }
    request = requests.create_room(RoomOptions(video_codec="vp8"))
    assert request.body is not None
    assert request.body["videoCodec"] == "vp8"


def test_peers_are_asked_for_as_the_official_sdk_asks() -> None:
    assert requests.create_peer("r", PeerOptions()).body == {
        "options": {"metadata": {}, "subscribeMode": "auto"},
        "type": "webrtc",
    }
    assert requests.create_agent("r", AgentOptions(AgentOutputOptions(audio_sample_rate=24000))).body == {
        "options": {"output": {"audioFormat": "pcm16", "audioSampleRate": 24000}, "subscribeMode": "auto"},
        "type": "agent",
    }


def test_ids_in_paths_are_percent_encoded() -> None:
    assert requests.delete_peer("a/b", "c d?").path == "/room/a%2Fb/peer/c%20d%3F"


def test_a_room_keeps_what_this_version_does_not_know() -> None:
    room = requests.get_room("r").answer(200, reply({"data": ROOM}))
    assert room.config.extra == {"future": 1}
    assert room.config.max_peers == 0
    assert room.extra == {"compositionInfo": None}
    (peer,) = room.peers
    assert (peer.type, peer.extra) == ("hologram", {"future": 3})
    assert peer.tracks == (Track("t", "audio", {"type": "microphone"}, {"future": 2}),)
    assert requests.get_all_rooms().answer(200, reply({"data": [ROOM]})) == [room]
    assert requests.create_room(RoomOptions()).answer(201, reply({"data": {"room": ROOM}})) == room


def test_a_new_peer_comes_with_a_token_that_is_not_shown() -> None:
    data = {"peer": ROOM["peers"][0], "token": "secret", "peer_websocket_url": "node/socket/peer/websocket"}
    access = requests.create_agent("r", AgentOptions()).answer(201, reply({"data": data}))
    assert isinstance(access, PeerAccess)
    assert (access.token, access.websocket_url) == ("secret", "node/socket/peer/websocket")
    assert "secret" not in repr(access)


def test_empty_answers_are_taken_where_nothing_is_expected() -> None:
    requests.delete_room("r").answer(204, b"")
    requests.check_credentials().answer(200, b"")
    requests.check_credentials().answer(200, b"OK")
    assert requests.refresh_peer_token("r", "p").answer(201, reply({"data": {"token": "t"}})) == "t"


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
        requests.get_room("r").answer(status, body)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert words in str(caught.value)


@pytest.mark.parametrize("status", [401, 404])
def test_wrong_credentials_have_their_own_error(status: int) -> None:
    with pytest.raises(errors.InvalidFishjamCredentialsError):
        requests.check_credentials().answer(status, b"")


def test_a_server_that_fails_to_validate_is_not_taken_for_consent() -> None:
    with pytest.raises(errors.InternalServerError):
        requests.check_credentials().answer(500, b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "room", "peer", "id", "peers", "tracks", "config", "token"]), inner
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.integers(200, 599), json_values.map(reply) | st.binary(max_size=20))
def test_any_answer_is_a_result_or_an_error_of_ours(status: int, content: bytes) -> None:
    for request in (
        requests.get_room("r"),
        requests.get_all_rooms(),
        requests.create_room(RoomOptions()),
        requests.create_peer("r", PeerOptions()),
        requests.refresh_peer_token("r", "p"),
        requests.check_credentials(),
    ):
        try:
            request.answer(status, content)
        except FishjamAgentsError as error:
            assert str(error)  # noqa: PT017


def test_a_redirect_is_refused() -> None:
    with pytest.raises(ProtocolError, match="redirected"):
        requests.get_room("r").answer(307, b"")
