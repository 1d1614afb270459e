"""Every method of the official SDK's client, its generated streams, and its reading of our webhooks."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from fishjam_agents.server import EmbeddedServer

fishjam = pytest.importorskip("fishjam", reason="needs the official fishjam-server-sdk: make test-compat")

from fishjam import events  # noqa: E402
from fishjam._fishjam_openapi_client.api.streamers import create_streamer, delete_streamer  # noqa: E402
from fishjam._fishjam_openapi_client.api.streams import (  # noqa: E402
    create_stream,
    delete_stream,
    get_all_streams,
    get_stream,
)
from fishjam._fishjam_openapi_client.api.viewers import create_viewer, delete_viewer  # noqa: E402
from fishjam._fishjam_openapi_client.models import StreamConfig  # noqa: E402
from fishjam.recording import CompositionSource, TemplateSource  # noqa: E402

from .official import COMPOSITION, ask, serve, until  # noqa: E402

pytestmark = pytest.mark.compat


def test_every_method_of_the_client_is_answered() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        called: set[str] = set()

        async def call(name: str, *arguments: Any, **named: Any) -> Any:
            called.add(name)
            return await asyncio.to_thread(getattr(client, name), *arguments, **named)

        verified = await call("create_and_verify", fishjam_id=server.url, management_token=server.token)
        verified.client.get_httpx_client().close()
        await call("check_credentials")

        room = await call("create_room")
        assert await call("get_all_rooms") == [room]
        peer, token = await call("create_peer", room.id)
        agent = await call("create_agent", room.id, fishjam.AgentOptions(subscribe_mode="manual"))
        assert await call("refresh_peer_token", room.id, peer.id) != token
        vapi = fishjam.PeerOptionsVapi(api_key="key", call_id="call")
        assert (await call("create_vapi_agent", room.id, vapi)).type_ == "vapi"
        caller = await server.add_caller(room.id)
        await call("subscribe_peer", room.id, agent.id, peer.id)
        await call("subscribe_tracks", room.id, agent.id, [caller.microphone.track.id])
        await call("forward_room_tracks", room.id, COMPOSITION)
        info = (await call("get_room", room.id)).composition_info
        assert info.composition_url == COMPOSITION
        assert [(item.peer_id, item.audio_track_id) for item in info.forwardings] == [
            (caller.id, caller.microphone.track.id)
        ]

        livestream = await call("create_room", fishjam.RoomOptions(room_type="livestream", public=True))
        assert livestream.config.public
        assert await call("create_livestream_viewer_token", livestream.id)
        assert await call("create_livestream_streamer_token", livestream.id)
        for name in ("livestream_whip_url", "livestream_whep_url"):
            answer = await asyncio.to_thread(httpx.post, await call(name))
            assert (answer.status_code, list(answer.json())) == (401, ["errors"])
        access = await call("create_moq_access", "publish", "subscribe", 60)
        assert access.connection_url.endswith(f"?jwt={access.token}")

        source, metadata = CompositionSource(COMPOSITION, "main"), {"env": "test", "deep": {"n": None}}
        with pytest.warns(DeprecationWarning, match="create_composition_recording"):
            await call("create_recording", source)
        recording = await call("create_composition_recording", source, metadata)
        template = await call("create_template_recording", TemplateSource(COMPOSITION), b"export {};")
        assert (recording.status, template.status, recording.files) == ("active", "active", [])
        assert await call("get_all_recordings", metadata) == [recording]
        assert len(await call("get_all_recordings")) == 3
        stopped = await call("stop_recording", recording.id)
        while stopped.status != "available":
            stopped = await call("get_recording", recording.id)
        assert (await asyncio.to_thread(httpx.get, stopped.files[0].url)).content.startswith(b"RIFF")
        await call("delete_recording", recording.id)

        await call("delete_peer", room.id, peer.id)
        await call("delete_room", room.id)
        assert called == {
            name
            for name, value in vars(fishjam.FishjamClient).items()
            if not name.startswith("_") and callable(getattr(fishjam.FishjamClient, name)) and value
        }

    serve(scenario)


def test_streams_of_the_generated_client() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        api = client.client
        config = StreamConfig(public=True, audio_only=True)
        stream = (await ask(partial(create_stream.sync, client=api, body=config))).data
        assert (stream.public, stream.audio_only) == (True, True)
        streamer = (await ask(partial(create_streamer.sync, stream.id, client=api))).data
        viewer = (await ask(partial(create_viewer.sync, stream.id, client=api))).data
        shown = (await ask(partial(get_stream.sync, stream.id, client=api))).data
        assert (shown.streamers, shown.viewers) == ([streamer], [viewer])
        assert (await ask(partial(get_all_streams.sync, client=api))).data == [shown]
        for delete, ids in (
            (delete_streamer, (stream.id, streamer.id)),
            (delete_viewer, (stream.id, viewer.id)),
            (delete_stream, (stream.id,)),
        ):
            assert (await ask(partial(delete.sync_detailed, *ids, client=api))).status_code == 204
        assert (await ask(partial(get_all_streams.sync, client=api))).data == []

    serve(scenario)


@pytest.mark.parametrize("batched", [False, True])
def test_webhooks_are_decoded_and_their_signature_verified(batched: bool) -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        told: list[Any] = []

        async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            signature = headers["x-fishjam-signature-256"]
            assert fishjam.verify_webhook_signature(body, signature, server.webhook_secret)
            assert not fishjam.verify_webhook_signature(body + b" ", signature, server.webhook_secret)
            told.extend(fishjam.decode_server_notifications(body))
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            writer.close()

        receiver = await asyncio.start_server(hook, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/hook"
        options = fishjam.RoomOptions(webhook_url=url, batch_webhook_notifications=batched)
        room = await ask(client.create_room, options)
        await ask(client.create_peer, room.id)
        await ask(client.delete_room, room.id)
        await until(lambda: told and isinstance(told[-1], events.ServerMessageRoomDeleted))
        assert [type(item).__name__.removeprefix("ServerMessage") for item in told] == [
            "RoomCreated",
            "PeerAdded",
            "PeerDeleted",
            "RoomDeleted",
        ]
        assert {item.room_id for item in told} == {room.id}
        receiver.close()

    serve(scenario)
