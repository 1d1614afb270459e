"""What is sent to the server, without a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fishjam_agents.errors import ConfigError
from fishjam_agents.fishjam import (
    AgentOptions,
    AgentOutputOptions,
    CompositionSource,
    PeerOptions,
    PeerOptionsVapi,
    RecordingStatus,
    RoomOptions,
    TemplateSource,
    TemplateSourceResolution,
    calls,
    endpoints,
    recording_endpoints,
    requests,
)


def test_a_room_is_asked_for_as_the_official_sdk_asks() -> None:
    request = endpoints.create_room()
    assert (request.method, request.path) == ("POST", "/room")
    assert request.body == {
        "batchWebhookNotifications": False,
        "maxPeers": None,
        "public": False,
        "roomType": "conference",
        "webhookUrl": None,
    }
    request = endpoints.create_room(RoomOptions(video_codec="vp8"))
    assert request.body is not None
    assert request.body["videoCodec"] == "vp8"


def test_peers_are_asked_for_as_the_official_sdk_asks() -> None:
    assert endpoints.create_peer("r", PeerOptions()).body == {
        "options": {"metadata": {}, "subscribeMode": "auto"},
        "type": "webrtc",
    }
    options = AgentOptions(AgentOutputOptions(audio_sample_rate=24000))
    assert endpoints.create_agent("r", options, _url="http://127.0.0.1:5002").body == {
        "options": {"output": {"audioFormat": "pcm16", "audioSampleRate": 24000}, "subscribeMode": "auto"},
        "type": "agent",
    }
    options = PeerOptionsVapi("key", "call")
    assert endpoints.create_vapi_agent("r", options).body == {
        "options": {"apiKey": "key", "callId": "call", "autoClose": False},
        "type": "vapi",
    }
    assert "key" not in repr(options).replace("api_key", "")
    options.subscribe_mode = "manual"
    assert endpoints.create_vapi_agent("r", options).body["options"]["subscribeMode"] == "manual"  # type: ignore[index]


def test_subscriptions_and_forwardings_are_asked_for_as_the_official_sdk_asks() -> None:
    request = endpoints.subscribe_peer("r", "p", "other")
    assert (request.path, request.query) == ("/room/r/peer/p/subscribe_peer", {"peer_id": "other"})
    assert endpoints.subscribe_tracks("r", "p", ["a"]).body == {"track_ids": ["a"]}
    assert endpoints.forward_room_tracks("r", "http://c").body == {
        "compositionURL": "http://c",
        "selector": "all",
    }


def test_moq_access_is_asked_for_as_the_official_sdk_asks() -> None:
    assert endpoints.create_moq_access("out", ttl=60).body == {
        "publishPath": "out",
        "subscribePath": None,
        "ttl": 60,
    }
    answer = b'{"connection_url": "https://relay?jwt=secret", "token": "secret"}'
    access = endpoints.create_moq_access("out").answer(200, answer)
    assert (access.connection_url, access.token) == ("https://relay?jwt=secret", "secret")
    assert "secret" not in repr(access)
    assert endpoints.create_moq_token(subscribe_path="in").answer(200, answer) == "secret"


def test_a_composition_recording_is_asked_for_as_the_official_sdk_asks() -> None:
    source = CompositionSource("http://c", "o")
    request = recording_endpoints.create_composition_recording(source, {"env": "prod"})
    assert request.body == {
        "source": {"compositionURL": "http://c", "outputId": "o", "scaleRatio": 1.0},
        "metadata": {"env": "prod"},
    }
    assert "metadata" not in (recording_endpoints.create_composition_recording(source).body or {})


def test_a_template_is_sent_as_a_file(tmp_path: Path) -> None:
    source = TemplateSource("http://c", resolution=TemplateSourceResolution(height=480, width=640))
    (config, template) = recording_endpoints.create_template_recording(source, b"code").parts
    assert json.loads(config.content) == {
        "source": {
            "compositionURL": "http://c",
            "audio": True,
            "resolution": {"height": 480, "width": 640},
        }
    }
    assert (config.name, config.filename, config.content_type) == ("config", None, "application/json")
    assert (template.name, template.filename, template.content) == ("template", "template.js", b"code")
    path = tmp_path / "scene.js"
    path.write_bytes(b"scene")
    part = recording_endpoints.create_template_recording(TemplateSource("http://c"), str(path)).parts[1]
    assert (part.filename, part.content) == ("scene.js", b"scene")


def test_recordings_are_filtered_by_nested_metadata() -> None:
    request = recording_endpoints.get_all_recordings(
        {"env": "prod", "deep": {"n": 1, "none": None}, "on": True}, status=RecordingStatus.ACTIVE
    )
    assert request.query == {
        "metadata[env]": "prod",
        "metadata[deep][n]": "1",
        "metadata[deep][none]": "null",
        "metadata[on]": "true",
        "status": "active",
    }
    assert recording_endpoints.get_all_recordings().query is None


def test_ids_in_paths_are_percent_encoded() -> None:
    assert endpoints.delete_peer("a/b", "c d?").path == "/room/a%2Fb/peer/c%20d%3F"
    assert recording_endpoints.stop_recording("a/b").path == "/recordings/a%2Fb/stop"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_refused(id: str) -> None:
    with pytest.raises(ConfigError, match="is no id"):
        endpoints.delete_peer("r", id)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_metadata_must_be_json(value: Any) -> None:
    with pytest.raises(ConfigError, match="POST /room/r/peer sends cannot be written as JSON"):
        calls.encode(endpoints.create_peer("r", PeerOptions(metadata={"a": value})))
    with pytest.raises(ConfigError, match="plain values"):
        recording_endpoints.create_template_recording(TemplateSource("c"), b"", {"a": value})


def test_a_token_that_no_header_may_carry_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="copy it from the dashboard") as caught:
        requests.headers("secret\n")
    assert "secret" not in str(caught.value)
