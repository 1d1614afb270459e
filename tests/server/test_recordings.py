"""Recordings and forwarding: states, notifications, filters, and what the file sounds like."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from fishjam_agents.audio.wav import Clip

from .conftest import Client, Serve

COMPOSITION = "https://rtc.example/api/composition/one"
SOURCE = {"compositionURL": COMPOSITION, "outputId": "main"}


async def create(client: Client, source: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    answer = await client.http.post("/recordings", json={"source": source or SOURCE, **more})
    assert answer.status_code == 201, answer.text
    recording: dict[str, Any] = answer.json()["data"]
    return recording


async def forward(client: Client, room_id: str, url: str = COMPOSITION) -> httpx.Response:
    path = f"/room/{room_id}/track_forwardings"
    return await client.http.post(path, json={"compositionURL": url, "selector": "all"})


async def finish(client: Client, recording_id: str) -> dict[str, Any]:
    """Stop a recording and wait until it is available."""
    answer = await client.http.post(f"/recordings/{recording_id}/stop")
    assert answer.status_code == 200
    while True:
        recording: dict[str, Any] = (await client.http.get(f"/recordings/{recording_id}")).json()["data"]
        if recording["status"] == "available":
            return recording


async def sound(recording: dict[str, Any]) -> NDArray[np.int16]:
    """The file, fetched without a token."""
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(recording["files"][0]["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_recording_walks_through_its_states_and_tells(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with client.notifications() as told:
            recording = await create(client, metadata={"env": "test"})
            assert recording == {
                "id": recording["id"],
                "status": "active",
                "source": {**SOURCE, "scaleRatio": 1.0},
                "metadata": {"env": "test"},
                "files": [],
            }
            path = f"/recordings/{recording['id']}"
            assert (await client.http.delete(path)).status_code == 409
            available = await finish(client, recording["id"])
            assert (await client.http.post(f"{path}/stop")).json() == {"data": available}
            assert (await client.http.get("/recordings")).json() == {"data": [available]}
            for status in (1, 2, 3):
                name, message = await anext(told)
                assert (name, message.recording_id) == ("recording_status_changed", recording["id"])
                assert (message.status, message.metadata) == (status, '{"env": "test"}')
            assert len(await sound(available)) == 16000
            assert not (await sound(available)).any()
            for _ in range(2):
                assert (await client.http.delete(path)).status_code == 204
            assert (await client.http.get(path)).status_code == 404
            assert (await client.http.get(available["files"][0]["url"])).status_code == 404

    serve(scenario)


def test_the_file_is_the_mix_of_the_rooms_forwarded_there(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        early, late, elsewhere = [await client.room() for _ in range(3)]
        assert (await forward(client, early)).status_code == 201
        assert (await forward(client, elsewhere, f"{COMPOSITION}-other")).status_code == 201
        recording = await create(client)
        assert (await forward(client, late)).status_code == 201
        start = client.server.clock.position
        for room_id, level in ((early, 1000), (late, 200), (elsewhere, 4000)):
            tone = Clip(np.full(1600, level, np.int16), 16000)
            await client.server.add_caller(room_id, tone, at=start + 0.1)
        await client.server.clock.wait_until(start + 0.3)
        await client.http.delete(f"/room/{early}")
        mix = await sound(await finish(client, recording["id"]))
        assert np.flatnonzero(mix == 1200).size == 1600
        assert set(np.unique(mix)) == {0, 1200}

    serve(scenario)


def test_a_scene_without_audio_is_silent(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        await forward(client, room_id)
        await client.server.add_caller(room_id, Clip(np.full(16000, 1000, np.int16), 16000))
        config = json.dumps({"source": {"compositionURL": COMPOSITION, "audio": False}})
        files = {
            "config": (None, config.encode(), "application/json"),
            "template": ("template.js", b"export default () => null;\n"),
        }
        answer = await client.http.post("/recordings", files=files)
        assert answer.status_code == 201, answer.text
        recording = answer.json()["data"]
        assert recording["source"] == {
            "compositionURL": COMPOSITION,
            "audio": False,
            "resolution": {"width": 1280, "height": 720},
        }
        assert not (await sound(await finish(client, recording["id"]))).any()

    serve(scenario)


BAD_SOURCES: list[Any] = [
    None,
    "source",
    {},
    {"compositionURL": COMPOSITION},
    {"outputId": "main"},
    {"compositionURL": "rtc.example", "outputId": "main"},
    {"compositionURL": f"https://rtc.example/{'x' * 255}", "outputId": "main"},
    {**SOURCE, "outputId": "x" * 256},
    {**SOURCE, "scaleRatio": 0},
    {**SOURCE, "scaleRatio": True},
]


def test_a_recording_that_makes_no_sense_is_refused_with_400(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        for source in BAD_SOURCES:
            answer = await client.http.post("/recordings", json={"source": source})
            assert (answer.status_code, list(answer.json())) == (400, ["errors"]), source
        answer = await client.http.post("/recordings", json={"source": SOURCE, "metadata": "x"})
        assert answer.status_code == 400
        good = json.dumps({"source": {"compositionURL": COMPOSITION}})
        wide = good.replace("}}", ', "resolution": {"width": -1, "height": 1}}}')
        loud = good.replace("}}", ', "audio": "yes"}}')
        for config, template in (
            (good, b""),
            (good, b"\xff"),
            (good, b"x" * (1024 * 1024 + 1)),
            ("nonsense", b"x"),
            (wide, b"x"),
            (loud, b"x"),
        ):
            files = {"config": (None, config.encode()), "template": ("template.js", template)}
            answer = await client.http.post("/recordings", files=files)
            assert (answer.status_code, list(answer.json())) == (400, ["errors"])
        headers = {"content-type": "multipart/form-data"}
        answer = await client.http.post("/recordings", content=b"x", headers=headers)
        assert answer.status_code == 400
        assert (await client.http.get("/recordings")).json() == {"data": []}

    serve(scenario)


def test_recordings_are_filtered_by_metadata_and_status(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        metadata = {
            "env": "prod",
            "n": 5,
            "yes": True,
            "none": None,
            "deep": {"a": {"b": "c"}},
            "l": ["x", 1],
        }
        recording = await create(client, metadata=metadata)
        await create(client)
        for query, found in (
            ({}, 2),
            ({"metadata[env]": "prod"}, 1),
            ({"metadata[env]": "dev"}, 0),
            ({"metadata[n]": "5", "metadata[yes]": "true"}, 1),
            ({"metadata[none]": "null"}, 1),
            ({"metadata[absent]": "null"}, 0),
            ({"metadata[deep][a][b]": "c"}, 1),
            ({"metadata[deep][a]": "c"}, 0),
            ({"metadata[env][x]": "prod"}, 0),
            ({"metadata[l]": ["x", "1"]}, 1),
            ({"status": "active"}, 2),
            ({"status": "available"}, 0),
            ({"status": "active", "metadata[env]": "prod"}, 1),
        ):
            answer = await client.http.get("/recordings", params=query)
            assert len(answer.json()["data"]) == found, query
        await finish(client, recording["id"])
        answer = await client.http.get("/recordings", params={"status": "available"})
        assert [item["id"] for item in answer.json()["data"]] == [recording["id"]]
        assert (await client.http.get("/recordings", params={"status": "lost"})).status_code == 400

    serve(scenario)


def test_a_recording_ends_by_itself_and_fails_when_its_file_takes_too_long(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishjam_agents.server.recordings.MAX_SECONDS", 0.0)
    monkeypatch.setattr("fishjam_agents.server.recordings.MIX_SECONDS", 0.0)

    async def scenario(client: Client) -> None:
        async with client.notifications() as told:
            recording = await create(client)
            assert [(await anext(told))[1].status for _ in range(3)] == [1, 2, 4]
            path = f"/recordings/{recording['id']}"
            failed = (await client.http.get(path)).json()["data"]
            assert (failed["status"], failed["files"]) == ("failed", [])
            assert (await client.http.delete(path)).status_code == 204

    serve(scenario)


def test_a_recording_ends_with_the_server_and_can_be_fetched_from_its_next_run(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        recording = await create(client)
        await client.server.stop()
        await client.server.start()
        shown = (await client.http.get(f"/recordings/{recording['id']}")).json()["data"]
        assert shown["status"] == "available"
        assert len(await sound(shown))

    serve(scenario)


def test_forwarded_tracks_are_inputs_that_come_and_go(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        first = await client.server.add_caller(room_id)
        async with client.notifications() as told:
            assert (await forward(client, room_id)).status_code == 201
            second = await client.server.add_caller(room_id)
            seen = [await anext(told) for _ in range(6)]
            assert [name for name, _ in seen] == [
                "track_forwarding",
                "peer_added",
                "peer_connected",
                "peer_metadata_updated",
                "track_added",
                "track_forwarding",
            ]
            room = (await client.http.get(f"/room/{room_id}")).json()["data"]
            assert room["compositionInfo"] == {
                "compositionUrl": COMPOSITION,
                "forwardings": [
                    {
                        "inputId": seen[position][1].input_id,
                        "peerId": caller.id,
                        "audioTrackId": caller.microphone.track.id,
                        "videoTrackId": None,
                    }
                    for position, caller in ((0, first), (5, second))
                ],
            }
            message = seen[5][1]
            assert (message.peer_id, message.composition_url) == (second.id, COMPOSITION)
            assert (message.audio_track.id, message.video_track) == (second.microphone.track.id, None)
            second.leave()
            gone = [await anext(told) for _ in range(3)]
            assert [name for name, _ in gone] == [
                "track_forwarding_removed",
                "track_removed",
                "peer_disconnected",
            ]
            assert gone[0][1].input_id == message.input_id
            answer = await forward(client, room_id, f"{COMPOSITION}-other")
            assert (answer.status_code, list(answer.json())) == (409, ["errors"])

    serve(scenario)


def test_a_forwarding_that_makes_no_sense_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        for body in ({}, {"compositionURL": 5}, {"compositionURL": COMPOSITION, "selector": "some"}):
            answer = await client.http.post(f"/room/{room_id}/track_forwardings", json=body)
            assert answer.status_code == 400
        assert (await forward(client, "nowhere")).status_code == 404
        assert "compositionInfo" not in (await client.http.get(f"/room/{room_id}")).json()["data"]

    serve(scenario)
