"""One program, written for the official SDK, gives the same with ours: only the import changes."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import warnings
from typing import Any

import pytest

from fishjam_agents.server import EmbeddedServer

pytest.importorskip("fishjam", reason="needs the official fishjam-server-sdk: make test-compat")
pytestmark = pytest.mark.compat

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMPOSITION = "https://rtc.fishjam.io/api/composition/c"


def rest_program(package: str, url: str, token: str) -> list[Any]:
    """What somebody sees who uses every method and looks at what comes back."""
    fishjam = importlib.import_module(package)
    errors = importlib.import_module(f"{package}.errors")
    recording_module = importlib.import_module(f"{package}.recording")
    peer_module = importlib.import_module(f"{package}.peer")
    seen: list[Any] = []

    def refused(method: Any, *args: Any) -> None:
        try:
            method(*args)
        except errors.HTTPError as error:
            # The official SDK has words of its own for wrong credentials; ours are the server's.
            wrong = isinstance(error, errors.InvalidFishjamCredentialsError)
            seen.append((type(error).__name__, () if wrong else error.args))

    client = fishjam.FishjamClient.create_and_verify(fishjam_id=url, management_token=token)
    options = fishjam.RoomOptions(max_peers=3, video_codec="vp8", batch_webhook_notifications=True)
    options.max_peers = 4
    room = client.create_room(options)
    seen.append(room.config.to_dict())
    seen.append((room.peers, room.composition_info, room == client.get_room(room.id)))
    seen.append(room in client.get_all_rooms())

    peer, first = client.create_peer(
        room.id, fishjam.PeerOptions(metadata={"name": "Ann"}, subscribe_mode="manual")
    )
    seen.append(peer.type_ == peer_module.PeerType.WEBRTC)
    seen.append((peer.status.value, peer.subscribe_mode, str(peer.type_), peer.tracks == []))
    seen.append((peer.metadata["server"], peer.metadata.additional_properties, "peer" in peer.metadata))
    seen.append((peer.subscriptions.peers, peer.subscriptions.tracks))
    seen.append(peer in client.get_room(room.id).peers)
    seen.append(client.refresh_peer_token(room.id, peer.id) not in ("", first))
    output = fishjam.AgentOutputOptions(audio_format="pcm16", audio_sample_rate=24000)
    agent = client.create_agent(room.id, fishjam.AgentOptions(output=output))
    seen.append(agent.room_id == room.id)
    client.subscribe_peer(room.id, peer.id, agent.id)
    client.subscribe_tracks(room_id=room.id, peer_id=peer.id, track_ids=[])
    vapi = client.create_vapi_agent(room.id, fishjam.PeerOptionsVapi(api_key="k", call_id="c"))
    seen.append((str(vapi.type_), str(vapi.subscribe_mode)))
    client.create_peer(room.id)
    refused(client.create_peer, room.id)
    seen.append([str(each.type_) for each in client.get_room(room.id).peers])

    client.forward_room_tracks(room.id, COMPOSITION)
    info = client.get_room(room.id).composition_info
    seen.append((info.composition_url, len(info.forwardings)))
    source = recording_module.CompositionSource(composition_url=COMPOSITION, output_id="out")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recording = client.create_recording(source)
    seen.append([item.category for item in caught])
    client.stop_recording(recording.id)
    recording = client.create_composition_recording(source, metadata={"env": {"name": "prod", "n": 1}})
    seen.append((recording.status == recording_module.RecordingStatus.ACTIVE, recording.source.to_dict()))
    seen.append((recording.metadata.to_dict(), recording.files))
    found = client.get_all_recordings(metadata={"env": {"name": "prod"}})
    seen.append([each.id == recording.id for each in found])
    refused(client.delete_recording, recording.id)
    client.stop_recording(recording.id)
    resolution = recording_module.TemplateSourceResolution(height=480, width=640)
    template = recording_module.TemplateSource(COMPOSITION, resolution=resolution)
    recording = client.create_template_recording(template, b"render()")
    seen.append(recording.source.to_dict())
    client.stop_recording(recording.id)
    client.delete_recording("no-such-recording")
    refused(client.get_recording, "no-such-recording")

    stream = client.create_room(fishjam.RoomOptions(room_type="livestream", public=True))
    seen.append((stream.config.room_type.value, stream.config.public))
    seen.append(bool(client.create_livestream_viewer_token(stream.id)))
    seen.append(bool(client.create_livestream_streamer_token(stream.id)))
    seen.append((client.livestream_whip_url(), client.livestream_whep_url()))
    access = client.create_moq_access(publish_path="a", subscribe_path="b", ttl=60)
    seen.append(access.connection_url.endswith(access.token))
    refused(client.create_moq_access)
    refused(client.create_livestream_viewer_token, room.id)
    refused(client.get_room, "no-such-room")
    refused(client.delete_peer, room.id, "no-such-peer")
    refused(fishjam.FishjamClient(url, "wrong").create_room)
    refused(lambda: fishjam.FishjamClient.create_and_verify(fishjam_id=url, management_token="wrong"))
    with pytest.raises(ValueError, match=r"Fishjam ID|fishjam ID|Fishjam"):
        fishjam.FishjamClient("", token)

    client.delete_peer(room.id, peer.id)
    for each in client.get_all_rooms():
        client.delete_room(each.id)
    seen.append(client.get_all_rooms())
    return seen


async def socket_program(package: str, url: str, token: str) -> list[Any]:
    """What a notifier and an agent tell."""
    fishjam = importlib.import_module(package)
    agent_module = importlib.import_module(f"{package}.agent")
    events = importlib.import_module(f"{package}.events")
    client = fishjam.FishjamClient(url, token)
    seen: list[Any] = []
    over = asyncio.Event()

    notifier = fishjam.FishjamNotifier(url, token)

    @notifier.on_server_notification
    async def handle(notification: Any) -> None:
        match notification:
            case events.ServerMessageTrackAdded(peer_id=peer, track=track):
                # Its betterproto leaves the number as it came; ours is the member that equals it.
                seen.append((bool(peer), int(track.type), track.metadata))
            case events.ServerMessagePeerConnected(peer_type=events.ServerMessagePeerType.PEER_TYPE_AGENT):
                seen.append("an agent is here")
            case events.ServerMessageRoomDeleted():
                over.set()
            case other:
                seen.append(type(other).__name__)

    listening = asyncio.create_task(notifier.connect())
    await notifier.wait_ready()
    room = await asyncio.to_thread(client.create_room)
    agent = await asyncio.to_thread(client.create_agent, room.id)
    async with agent.connect() as session:
        options = agent_module.OutgoingAudioTrackOptions(
            encoding=events.TrackEncoding.TRACK_ENCODING_PCM16, metadata={"type": "microphone"}
        )
        track = await session.add_track(options)
        await track.send_chunk(bytes(640))
        await track.interrupt()
        seen.append((track.options == options, track.session is session, session.agent is agent))
    await asyncio.to_thread(client.delete_room, room.id)
    await asyncio.wait_for(over.wait(), 10)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return seen


async def watched(program: Any, package: str) -> list[Any]:
    """What the program sees against a server of its own, whose address and ids are taken out."""
    async with asyncio.timeout(30), EmbeddedServer() as server:
        if inspect.iscoroutinefunction(program):
            seen = await program(package, server.url, server.token)
        else:
            seen = await asyncio.to_thread(program, package, server.url, server.token)
    return [UUID.sub("ID", repr(item).replace(server.url, "URL")) for item in seen]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("program", [rest_program, socket_program])
def test_the_import_is_all_that_changes(program: Any) -> None:
    theirs = asyncio.run(watched(program, "fishjam"))
    mine = asyncio.run(watched(program, "fishjam_agents.fishjam"))
    assert mine == theirs
