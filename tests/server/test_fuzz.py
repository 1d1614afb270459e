"""Whatever comes in over REST or a socket: no 500, no crash, and the next client is served."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import httpx
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishjam_agents.protocol import (
    Track,
    encode,
    encode_add_track,
    encode_auth_request,
    encode_capture_image,
    encode_interrupt,
    encode_remove_track,
    encode_track_chunk,
)
from fishjam_agents.protocol.generated import notifications, peer
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.errors import RequestError
from fishjam_agents.server.rest.multipart import parse_multipart
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.session import PeerType

from .conftest import Client

COMPOSITION = "https://rtc.example/c"

KEYS = st.sampled_from(
    (
        *("roomType", "videoCodec", "maxPeers", "public", "webhookUrl", "batchWebhookNotifications"),
        *("type", "options", "metadata", "subscribeMode", "output", "audioFormat", "audioSampleRate"),
        *("apiKey", "callId", "autoClose", "track_ids", "compositionURL", "selector", "source", "outputId"),
        *("scaleRatio", "audio", "resolution", "width", "publishPath", "subscribePath", "ttl", "audioOnly"),
    )
)
WORDS = st.sampled_from(
    ("livestream", "audio_only", "agent", "webrtc", "vapi", "manual", "pcm16", "all", "vp8", COMPOSITION)
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)
BODIES = st.binary(max_size=60) | OBJECTS.map(lambda value: json.dumps(value).encode())

IDS = st.sampled_from(("", "x", "0" * 32, "11111111-1111-4111-8111-111111111111")) | st.text(max_size=4)
NUMBERS = st.sampled_from((0, 1, 2, 3, 16000, 24000)) | st.integers(0, 2**32 - 1)
MESSAGES = (
    st.builds(
        encode_add_track,
        st.builds(Track, IDS, st.integers(0, 3), st.text(max_size=5)),
        encoding=NUMBERS,
        sample_rate=NUMBERS,
        channels=NUMBERS,
    )
    | st.builds(encode_track_chunk, IDS, st.binary(max_size=9))
    | st.builds(encode_interrupt, IDS)
    | st.builds(encode_remove_track, IDS)
    | st.builds(encode_capture_image, IDS)
)

SETTINGS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def running() -> Any:
    """A server that runs from example to example: a function that runs a scenario against it."""
    with asyncio.Runner() as runner:
        server = EmbeddedServer()
        runner.run(server.start())
        http = httpx.AsyncClient(
            base_url=server.url, headers={"authorization": f"Bearer {server.token}"}, timeout=5
        )
        client = Client(server, http)

        def run(scenario: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
            async def bounded() -> None:
                async with asyncio.timeout(10):
                    await scenario(client)

            runner.run(bounded())

        yield run
        runner.run(http.aclose())
        runner.run(server.stop())


Running = Callable[[Callable[[Client], Coroutine[Any, Any, None]]], None]


@SETTINGS
@given(body=BODIES, path=st.text(max_size=6), query=st.text(max_size=6))
def test_no_body_makes_the_api_stumble(running: Running, body: bytes, path: str, query: str) -> None:
    async def scenario(client: Client) -> None:
        rooms = client.server.rooms
        room = rooms.create()
        agent = room.add_peer(PeerConfig(PeerType.AGENT, manual=True))
        prefix = f"/room/{room.id}"
        for target in (
            "/room",
            f"{prefix}/peer",
            f"{prefix}/peer/{agent.id}/subscribe_tracks",
            f"{prefix}/peer/{agent.id}/refresh_token",
            f"{prefix}/track_forwardings",
            "/moq/access",
            "/recordings",
            "/livestream",
        ):
            answer = await client.http.post(target, content=body)
            assert answer.status_code < 500, (target, answer.text)
            assert answer.status_code < 400 or isinstance(answer.json()["errors"], str)
        form = {"content-type": "multipart/form-data; boundary=b"}
        for content in (body, b"--b\r\n" + body + b"\r\n--b--", _form(body)):
            answer = await client.http.post("/recordings", content=content, headers=form)
            assert answer.status_code in (201, 400)
        params = {"peer_id": path, "status": query, f"metadata[{path}]": query}
        for method, target in (
            ("GET", "/room/{}"),
            ("GET", "/recordings"),
            ("GET", "/recordings/{}"),
            ("DELETE", f"{prefix}/peer/{{}}"),
            ("POST", f"{prefix}/peer/{agent.id}/subscribe_peer"),
            ("POST", "/recordings/{}/stop"),
            ("GET", "/recordings/{}/files/{}"),
        ):
            answer = await client.http.request(method, target.format(_quoted(path), "x"), params=params)
            assert answer.status_code < 500, (target, answer.text)
        assert (await client.http.get("/room")).status_code == 200
        for room in rooms:
            rooms.delete(room.id)
        client.server.recordings.stop_all()

    running(scenario)


@SETTINGS
@given(data=st.lists(MESSAGES | st.binary(max_size=40) | st.text(max_size=5), max_size=4))
def test_no_message_makes_a_socket_stumble(
    running: Running, data: list[bytes | str], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(client: Client) -> None:
        rooms = client.server.rooms
        room = rooms.create()
        agent, browser = (room.add_peer(PeerConfig(kind)) for kind in (PeerType.AGENT, PeerType.WEBRTC))
        agent_token, peer_token = (rooms.token(room, item) for item in (agent, browser))
        server_auth = notifications.ServerMessageAuthRequest(token=client.server.token)
        peer_auth = peer.PeerMessageAuthRequest(token=peer_token)
        for name, auth in (
            ("agent", encode_auth_request(agent_token)),
            ("peer", encode(peer.PeerMessage(auth_request=peer_auth))),
            ("server", encode(notifications.ServerMessage(auth_request=server_auth))),
        ):
            for first in ([], [auth]):
                async with client.socket(name) as socket:
                    try:
                        for message in [*first, *data]:
                            await socket.send(message)
                    except websockets.ConnectionClosed:
                        pass
        assert (await client.http.get("/room")).status_code == 200
        rooms.delete(room.id)

    with caplog.at_level(logging.ERROR):
        running(scenario)
    # asyncio reports what a protocol raises there, and goes on.
    assert not caplog.records


@given(
    parts=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=30), max_size=4),
    boundary=st.text("xyz-'", min_size=1, max_size=8),
)
def test_what_httpx_sends_as_a_form_is_read_back(parts: dict[str, bytes], boundary: str) -> None:
    if any(boundary.encode() in content for content in parts.values()):
        return
    content_type = f'multipart/form-data; boundary="{boundary}"'
    request = httpx.Request(
        "POST",
        "http://x/",
        files={name: (None, content) for name, content in parts.items()} or {"a": (None, b"")},
        headers={"content-type": f"multipart/form-data; boundary={boundary}"},
    )
    assert parse_multipart(content_type, request.read()) == (parts or {"a": b""})


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda data: b"--b\r\n" + data + b"\r\n--b--"))
def test_no_form_makes_the_parser_stumble(body: bytes) -> None:
    with suppress(RequestError):
        parse_multipart("multipart/form-data; boundary=b", body)


def _form(config: bytes) -> bytes:
    head = b'--b\r\ncontent-disposition: form-data; name="%s"\r\n\r\n'
    return b"\r\n".join((head % b"config" + config, head % b"template" + b"bundle", b"--b--"))


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode(errors="replace")) or "x"
