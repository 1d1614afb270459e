"""The unmodified official SDK against the embedded server: client, agent and notifier."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from fishjam_agents.audio.wav import Clip
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.media.sources import AgentTrack

fishjam = pytest.importorskip("fishjam", reason="needs the official fishjam-server-sdk: make test-compat")

from fishjam import events  # noqa: E402
from fishjam.agent import AgentAuthError, OutgoingAudioTrackOptions  # noqa: E402
from fishjam.errors import (  # noqa: E402
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    UnauthorizedError,
)
from fishjam.recording import CompositionSource  # noqa: E402

from .official import COMPOSITION, ask, connected, serve, until  # noqa: E402

pytestmark = pytest.mark.compat


def test_rooms_are_created_found_listed_and_deleted() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        await ask(client.check_credentials)
        room = await ask(client.create_room)
        assert (room.config.max_peers, room.config.video_codec) == (0, "h264")
        assert await ask(client.get_room, room.id) == room
        assert await ask(client.get_all_rooms) == [room]
        options = fishjam.RoomOptions(max_peers=4, room_type="audio_only", video_codec="vp8", public=False)
        other = await ask(client.create_room, options)
        assert (other.config.max_peers, other.config.room_type) == (4, "audio_only")
        await ask(client.delete_room, room.id)
        assert await ask(client.get_all_rooms) == [other]
        for request in (client.get_room, client.delete_room):
            for room_id in (room.id, "invalid_id", "a/b"):
                with pytest.raises(NotFoundError):
                    await ask(request, room_id)

    serve(scenario)


def test_errors_are_those_the_client_has_classes_for() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        with connected(server, "wrong") as stranger:
            with pytest.raises(UnauthorizedError):
                await ask(stranger.create_room)
            with pytest.raises(fishjam.InvalidFishjamCredentialsError):
                await ask(stranger.check_credentials)
        with pytest.raises(BadRequestError):
            await ask(client.create_room, fishjam.RoomOptions(max_peers="nan"))
        room = await ask(client.create_room, fishjam.RoomOptions(max_peers=1))
        await ask(client.create_peer, room.id)
        with pytest.raises(ConflictError):
            await ask(client.create_peer, room.id)
        with pytest.raises(NotFoundError):
            await ask(client.delete_peer, room.id, "nobody")
        with pytest.raises(NotFoundError):
            await ask(client.create_livestream_viewer_token, room.id)
        with pytest.raises(BadRequestError):
            await ask(client.create_moq_access)
        livestream = await ask(client.create_room, fishjam.RoomOptions(room_type="livestream"))
        with pytest.raises(BadRequestError):
            await ask(client.create_peer, livestream.id)
        for request in (client.get_recording, client.stop_recording):
            with pytest.raises(NotFoundError):
                await ask(request, "nothing")
        await ask(client.delete_recording, "nothing")
        recording = await ask(client.create_composition_recording, CompositionSource(COMPOSITION, "main"))
        with pytest.raises(ConflictError):
            await ask(client.delete_recording, recording.id)
        await ask(client.forward_room_tracks, room.id, COMPOSITION)
        with pytest.raises(ConflictError):
            await ask(client.forward_room_tracks, room.id, COMPOSITION)
        composition = fishjam.CompositionClient(server.token, server.url)
        with composition.client.get_httpx_client(), pytest.raises(InternalServerError, match="Not available"):
            await ask(composition.create_composition)

    serve(scenario)


def test_peers_have_the_metadata_they_were_given() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        options = fishjam.PeerOptions(metadata={"name": "Ann"})
        peer, token = await ask(client.create_peer, room.id, options)
        assert peer.status == "disconnected"
        assert peer.metadata.to_dict() == {"peer": {}, "server": {"name": "Ann"}}
        assert peer in (await ask(client.get_room, room.id)).peers
        assert await ask(client.refresh_peer_token, room.id, peer.id) != token
        await ask(client.delete_peer, room.id, peer.id)
        assert (await ask(client.get_room, room.id)).peers == []

    serve(scenario)


def test_an_agent_hears_a_caller_and_is_heard() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        output = fishjam.AgentOutputOptions(audio_sample_rate=24000)
        agent = await ask(client.create_agent, room.id, fishjam.AgentOptions(output=output))
        shown = (await ask(client.get_room, room.id)).peers[0]
        assert (shown.type_, shown.status, shown.subscribe_mode) == ("agent", "disconnected", "auto")
        async with agent.connect() as session:
            caller = await server.add_caller(room.id, Clip(np.full(48000, 1000, np.int16), 48000))
            track = await session.add_track(
                OutgoingAudioTrackOptions(sample_rate=24000, metadata={"type": "microphone"})
            )
            await track.send_chunk(np.full(4800, 500, "<i2").tobytes())
            await track.send_chunk(bytes(48000))
            loud = 0
            async for message in session.receive():
                assert message.peer_id == caller.id
                assert len(message.data) == 960
                loud += np.frombuffer(message.data, "<i2").max() > 900
                if loud == 10:
                    break
            await track.interrupt()
            peer = next(peer for peer in (await ask(client.get_room, room.id)).peers if peer.id == agent.id)
            assert peer.status == "connected"
            assert [item.id for item in peer.tracks] == [track.id]
            source = server.rooms.get(room.id).peers[agent.id].sources[track.id]
            assert isinstance(source, AgentTrack)
            await until(lambda: source.playout.cuts)
            assert source.playout.cuts[0].played_seconds in (0.2, 1.2)
        await until(lambda: not server.rooms.get(room.id).peers[agent.id].connected)
        assert {peer.status for peer in (await ask(client.get_room, room.id)).peers} == {
            "connected",
            "disconnected",
        }
        await ask(client.delete_peer, room.id, agent.id)

    serve(scenario)


@pytest.mark.parametrize("path", ["/", "/api/v1/connect/local-id", "/api/v1/connect/local-id/"])
def test_the_server_is_found_below_any_path_it_is_given(path: str) -> None:
    async def scenario(server: EmbeddedServer, _: Any) -> None:
        base = server.url + path
        client = fishjam.FishjamClient(base, server.token)
        with client.client.get_httpx_client():
            await ask(client.check_credentials)
            room = await ask(client.create_room)
            agent = await ask(client.create_agent, room.id)
            notifier = fishjam.FishjamNotifier(base, server.token)
            told: list[Any] = []
            notifier.on_server_notification(told.append)
            listening = asyncio.create_task(notifier.connect())
            await notifier.wait_ready()
            async with agent.connect():
                await until(lambda: len(told) == 2)
            await ask(client.delete_room, room.id)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    serve(scenario)


def test_a_bogus_token_is_an_auth_error() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id)
        agent._token = "bogus"
        with pytest.raises(AgentAuthError, match="invalid token"):
            async with agent.connect():
                pass

    serve(scenario)


def test_a_manual_agent_subscribes_to_a_peer_and_to_tracks() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id, fishjam.AgentOptions(subscribe_mode="manual"))
        caller = await server.add_caller(room.id)
        await ask(client.subscribe_peer, room.id, agent.id, caller.id)
        await ask(client.subscribe_tracks, room.id, agent.id, [caller.microphone.track.id])
        shown = next(peer for peer in (await ask(client.get_room, room.id)).peers if peer.id == agent.id)
        assert shown.subscriptions.peers == [caller.id]
        assert shown.subscriptions.tracks == [caller.microphone.track.id]
        async with agent.connect() as session:
            async for message in session.receive():
                assert message.peer_id == caller.id
                break

    serve(scenario)


def test_the_notifier_is_told_everything_in_order() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        notifier = fishjam.FishjamNotifier(server.url + "/", server.token)
        told: list[Any] = []
        done = asyncio.Event()

        @notifier.on_server_notification
        def on_notification(notification: Any) -> None:
            told.append(notification)
            if isinstance(notification, events.ServerMessageRoomDeleted):
                done.set()

        listening = asyncio.create_task(notifier.connect())
        await notifier.wait_ready()
        room = await ask(client.create_room)
        agent = await ask(client.create_agent, room.id)
        async with agent.connect() as session:
            track = await session.add_track(OutgoingAudioTrackOptions(metadata={"type": "microphone"}))
            await until(lambda: isinstance(told[-1], events.ServerMessageTrackAdded))
        await until(lambda: isinstance(told[-1], events.ServerMessagePeerDisconnected))
        await ask(client.delete_peer, room.id, agent.id)
        await ask(client.delete_room, room.id)
        await done.wait()
        recording = await ask(client.create_composition_recording, CompositionSource(COMPOSITION, "main"))
        await ask(client.stop_recording, recording.id)
        await until(lambda: len(told) == 12)
        for status in (3, 2, 1):
            item = told.pop()
            assert (item.recording_id, int(item.status)) == (recording.id, status)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert [type(item).__name__.removeprefix("ServerMessage") for item in told] == [
            "RoomCreated",
            "PeerAdded",
            "PeerConnected",
            "PeerMetadataUpdated",
            "TrackAdded",
            "TrackRemoved",
            "PeerDisconnected",
            "PeerDeleted",
            "RoomDeleted",
        ]
        assert {item.room_id for item in told} == {room.id}
        assert told[1].peer_type == events.ServerMessagePeerType.PEER_TYPE_AGENT
        assert told[3].metadata == "null"
        assert told[4].track.id == track.id
        assert told[4].track.metadata == '{"type": "microphone"}'

    serve(scenario)


def test_the_notifier_is_refused_with_a_wrong_token() -> None:
    async def scenario(server: EmbeddedServer, client: Any) -> None:
        notifier = fishjam.FishjamNotifier(server.url, "wrong")
        with pytest.raises(RuntimeError, match="Invalid management token"):
            await notifier.connect()

    serve(scenario)
