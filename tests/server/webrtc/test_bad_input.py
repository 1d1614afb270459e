"""Browsers that speak nonsense, vanish or come in crowds: they alone are affected."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import media, media_peer
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.server import EmbeddedServer
from fishjam_agents.server.settings import PeerConfig
from fishjam_agents.server.webrtc.connection import Connection
from fishjam_agents.session import PeerType

from ..conftest import Client, Serve, closing
from ..sockets import peer_auth, until
from .agent import attend
from .browser import Tone, join, open_browser, pitch
from .bystanders import bystanders

REFUSED = (1000, "invalid sdk version")
"""What a client is closed with whose offer cannot be answered."""


def without(pattern: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(pattern, "", sdp)


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda _: "", "no SDP"),
        (lambda _: "v=0\r\nnonsense", "no media section"),
        (without(r"a=mid:.*\r\n"), "no mid"),
        (without(r"a=ice-ufrag:.*\r\n"), "no ice-ufrag"),
        (without(r"a=fingerprint:.*\r\n"), "no fingerprint"),
        (without(r"a=rtcp-mux\r\n"), "cannot be answered"),
        (lambda sdp: sdp.replace("opus/48000/2", "mysterious/48000/2"), "none of the codecs opus"),
        (lambda sdp: re.sub(r"a=rtpmap:.*\r\n", "", sdp), ""),
        (lambda sdp: sdp.replace("UDP/TLS/RTP/SAVPF", "?"), "cannot be answered"),
        (lambda sdp: sdp.replace("a=setup:actpass", "a=setup:sideways"), "cannot be answered"),
    ],
    ids=[
        "empty",
        "nonsense",
        "no mid",
        "no ufrag",
        "no fingerprint",
        "no mux",
        "codec",
        "no rtpmap",
        "profile",
        "setup",
    ],
)
def test_an_offer_that_cannot_be_answered_ends_its_browser_alone(
    serve: Serve, rewrite: Callable[[str], str], message: str
) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with bystanders(client), join(client, room_id) as browser:
            browser.rewrite_offer = rewrite
            publishing = asyncio.create_task(browser.publish(Tone()))
            await until(lambda: browser.socket.close_code is not None)
            if message:
                assert (browser.socket.close_code, browser.socket.close_reason) == REFUSED
                assert message in browser.error
            publishing.cancel()
            assert (await client.shown(room_id, browser.id))["status"] == "disconnected"

    serve(scenario)


def test_an_offer_without_names_for_its_tracks_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        async with join(client, await client.room()) as browser:
            browser.pc.addTransceiver(Tone(), "sendonly")
            await browser.pc.setLocalDescription(await browser.pc.createOffer())
            await browser.send(sdp_offer=media_peer.MediaEventSdpOffer(sdp=browser.pc.localDescription.sdp))
            await until(lambda: browser.socket.close_code is not None)
            assert "missing in mid_to_track_id" in browser.error

    serve(scenario)


def test_nobody_takes_the_id_of_anothers_track(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with join(client, room_id) as ann, join(client, room_id) as ben:
            track_id = await ann.publish(Tone())
            await until(lambda: track_id in ben.heard)
            ben.local[track_id] = (Tone(), "{}")
            await ben.send(renegotiate_tracks=media_peer.MediaEventRenegotiateTracks())
            await until(lambda: ben.socket.close_code is not None)
            assert "exists already" in ben.error
            assert ann.socket.close_code is None
            assert (await client.shown(room_id, ann.id))["tracks"][0]["id"] == track_id

    serve(scenario)


def test_two_offers_at_once_are_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Connection.answer

    async def slowly(self: Connection, *arguments: Any) -> str:
        await asyncio.sleep(0.3)
        return await answer(self, *arguments)

    monkeypatch.setattr(Connection, "answer", slowly)

    async def scenario(client: Client) -> None:
        async with join(client, await client.room()) as browser:
            browser.pc.addTransceiver("audio", "recvonly")
            await browser.pc.setLocalDescription(await browser.pc.createOffer())
            offer = media_peer.MediaEventSdpOffer(sdp=browser.pc.localDescription.sdp)
            for _ in range(2):
                await browser.send(sdp_offer=offer)
            await until(lambda: browser.socket.close_code is not None)
            assert "before the last one was answered" in browser.error

    serve(scenario)


def test_candidates_come_early_malformed_and_in_heaps(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            candidates = [
                "",
                "candidate:1 1 udp 2113937151 6a3f9a35-1b2c.local 54400 typ host generation 0",
                "candidate:nonsense",
                "candidate:1 1 udp x 127.0.0.1 y typ host",
                "candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
                *(f"candidate:1 1 udp 2113937151 127.0.0.1 {port} typ host" for port in range(40000, 40200)),
            ]
            for text in candidates:
                await browser.send(candidate=media.Candidate(candidate=text, sdp_mid="7"))
            await browser.publish(Tone())
            for text in candidates:
                await browser.send(candidate=media.Candidate(candidate=text))
            assert abs(pitch(await agent.hear(0.3), 16000) - 440) < 10

    serve(scenario)


def test_a_browser_that_hides_its_address_is_found(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with attend(client, room_id) as agent, join(client, room_id) as browser:
            browser.rewrite_offer = lambda sdp: re.sub(
                r"(a=candidate:\S+ \d+ udp \d+ )\S+", r"\g<1>6a3f9a35-1b2c.local", sdp
            ).replace("a=end-of-candidates\r\n", "")
            await browser.publish(Tone())
            assert abs(pitch(await agent.hear(0.3), 16000) - 440) < 10

    serve(scenario)


def test_events_out_of_place_are_refused_or_ignored(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        _, token = await client.peer(room_id)
        async with open_browser(client, token) as browser:
            await browser.send(renegotiate_tracks=media_peer.MediaEventRenegotiateTracks())
            await until(lambda: browser.socket.close_code is not None)
            assert (browser.socket.close_code, browser.socket.close_reason) == REFUSED
        async with open_browser(client, token) as browser:
            await browser.send(connect=media_peer.MediaEventConnect(metadata_json="{not json"))
            await until(lambda: browser.socket.close_code is not None)
            assert "metadata" in browser.error
        async with open_browser(client, token) as browser:
            await browser.connect()
            await browser.connect()
            await browser.update({"deep": "enough"})
            await browser.send(
                update_endpoint_metadata=media_peer.MediaEventUpdateEndpointMetadata(metadata_json="[" * 9999)
            )
            await browser.unmute("nothing")
            await browser.send(
                update_track_metadata=media_peer.MediaEventUpdateTrackMetadata("nothing", '{"a":1}')
            )
            await browser.send(track_bitrates=media_peer.MediaEventTrackBitrates(track_id="nothing"))
            await browser.send(enable_track_variant=media_peer.MediaEventEnableTrackVariant())
            report = schema.PeerMessage(rtc_stats_report=schema.PeerMessageRtcStatsReport(data="{"))
            await browser.socket.send(encode(report))
            await browser.socket.send(
                encode(schema.PeerMessage(media_event=schema.PeerMessageMediaEvent("{")))
            )
            await browser.socket.send("text")
            await browser.publish(Tone())
            assert (await client.shown(room_id, browser.id))["metadata"]["peer"] == {"deep": "enough"}

    serve(scenario)


def test_garbage_ends_its_browser_alone(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        async with bystanders(client), join(client, room_id) as browser:
            await browser.publish(Tone())
            await browser.socket.send(b"\xff\xff\xff")
            await until(lambda: browser.socket.close_code is not None)
            assert (browser.socket.close_code, browser.socket.close_reason) == (1003, "invalid message")

    serve(scenario)


def test_a_hundred_join_at_once(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()
        tokens = [(await client.peer(room_id))[1] for _ in range(100)]

        async def one(token: str) -> None:
            known = 0
            async with client.socket("peer") as socket:
                await socket.send(peer_auth(token))
                await socket.recv()
                connect = media_peer.MediaEventConnect(metadata_json="{}")
                await socket.send(
                    encode(schema.PeerMessage(peer_media_event=media_peer.MediaEvent(connect=connect)))
                )
                while known < 100:
                    known += endpoints(await socket.recv())
                everybody.append(known)
                if len(everybody) == 100:
                    all_here.set()
                await all_here.wait()

        everybody: list[int] = []
        all_here = asyncio.Event()
        async with bystanders(client, hiccups=1000):
            await asyncio.gather(*(one(token) for token in tokens))
        assert everybody == [100] * 100

    serve(scenario)


def endpoints(message: str | bytes) -> int:
    """How many endpoints a message tells of, read in haste: a hundred clients run in this process."""
    assert isinstance(message, bytes)
    start = 2 if message[1] < 128 else 3 if message[2] < 128 else 4
    if message[start] >> 3 == 5:
        return 1
    event = decode(schema.PeerMessage, message).server_media_event
    return len(event.connected.endpoint_id_to_endpoint)


def test_fifty_joins_and_leaves_leave_nothing(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        room_id = await client.room()

        def left() -> tuple[int, int, int]:
            gc.collect()
            descriptors = Path("/proc/self/fd")
            return (
                len(asyncio.all_tasks()),
                # Those of the loop's own pool come as names are looked up.
                sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate()),
                len(os.listdir(descriptors)) if descriptors.exists() else 0,
            )

        async with attend(client, room_id) as agent:

            async def once() -> None:
                async with join(client, room_id) as browser:
                    track_id = await browser.publish(Tone())
                    await agent.hear(0.04, track_id)

            for _ in range(2):
                await once()
            await asyncio.sleep(0.2)
            before = left()
            for _ in range(50):
                await once()
            for _ in range(50):
                if all(now <= then for now, then in zip(left(), before, strict=True)):
                    break
                await asyncio.sleep(0.1)
            after = left()
            assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
            room = client.server.rooms.get(room_id)
            assert not [peer for peer in room.peers.values() if peer.connected and peer.id != agent.id]

    serve(scenario)


def test_a_stopped_server_leaves_nothing() -> None:

    async def main() -> list[str]:
        async with asyncio.timeout(20):
            server = EmbeddedServer()
            await server.start()
            room = server.rooms.create()
            peer = room.add_peer(PeerConfig(PeerType.WEBRTC))
            async with httpx.AsyncClient() as http:
                client = Client(server, http)
                async with open_browser(client, server.rooms.token(room, peer)) as browser:
                    await browser.connect()
                    await browser.publish(Tone())
                    await until(lambda: browser.pc.connectionState == "connected")
                    await server.stop()
                    assert browser.socket.close_code == 1001
            # The datagrams of a closed connection are on their way out.
            await asyncio.sleep(0.1)
            return [task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}]

    assert asyncio.run(main()) == []


def test_a_token_of_another_kind_is_refused(serve: Serve) -> None:
    async def scenario(client: Client) -> None:
        _, token = await client.peer(await client.room(), "agent")
        async with client.socket("peer") as socket:
            await socket.send(peer_auth(token))
            assert await closing(socket) == (1000, "invalid token")

    serve(scenario)
