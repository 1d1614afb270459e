"""Synthetic browsers: aiortc peers that send Opus which was encoded before, and decode nothing.

`python -m bench.webrtc_peers '{"url": "ws://127.0.0.1:1234/socket/peer/websocket"}'` answers `join` (peer
tokens; says when all hear something) and `measure` (packets of some seconds). Source of the message order:
Fishjam's web client SDK, `ts-client`.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aioice.ice
import av
import betterproto
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from websockets.asyncio.client import ClientConnection, connect

from bench.child import requests, say
from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import media_peer, media_server
from fishjam_agents.protocol.generated import peer as schema

_RATE, _FRAME = 48000, 960
_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_METADATA = '{"type": "microphone", "paused": false}'


def _tone() -> list[bytes]:
    """A second of 400 Hz at -12 dBFS as packets of 20 ms: whole periods, so that it can loop."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = _RATE, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32000, fractions.Fraction(1, _RATE)
    tone = (8192 * np.sin(2 * np.pi * 400 * np.arange(_FRAME) / _RATE)).astype(np.int16)
    packets = []
    for _ in range(60):
        frame = av.AudioFrame(format="s16", layout="mono", samples=_FRAME)
        frame.planes[0].update(tone.tobytes())
        frame.sample_rate = _RATE
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    # Not the first ones, in which the encoder still learns the tone.
    return packets[-50:]


class _Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, packets: list[bytes]) -> None:
        super().__init__()
        self._packets = packets
        self.sent = 0
        self._begun = 0.0

    async def recv(self) -> av.Packet:
        loop = asyncio.get_running_loop()
        self._begun = self._begun or loop.time()
        await asyncio.sleep(self._begun + self.sent * _FRAME / _RATE - loop.time())
        packet = av.Packet(self._packets[self.sent % len(self._packets)])
        packet.pts, packet.time_base = self.sent * _FRAME, fractions.Fraction(1, _RATE)
        self.sent += 1
        return packet


class _Counter:
    """In the place of aiortc's `JitterBuffer`: counts packets, and gives nothing to decode."""

    def __init__(self) -> None:
        self.packets = 0
        self.heard = asyncio.Event()

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self.packets += 1
        self.heard.set()
        return False, None


class _Peer:
    """One browser's side of the peer socket and of its connection."""

    def __init__(self, socket: ClientConnection, packets: list[bytes]) -> None:
        self.counter = _Counter()
        self._socket = socket
        self.microphone = _Microphone(packets)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._track_id = ""

    async def run(self, token: str) -> None:
        request = schema.PeerMessageAuthRequest(token=token, sdk_version="web-0.25.1")
        await self._socket.send(encode(schema.PeerMessage(auth_request=request)))
        async for data in self._socket:
            assert isinstance(data, bytes)
            kind, message = betterproto.which_one_of(decode(schema.PeerMessage, data), "content")
            match kind:
                case "authenticated":
                    await self._send(connect=media_peer.MediaEventConnect(metadata_json="{}"))
                case "server_media_event":
                    await self._take(message)

    async def close(self) -> None:
        await self._connection.close()

    async def _take(self, event: media_server.MediaEvent) -> None:
        kind, content = betterproto.which_one_of(event, "content")
        match kind:
            case "connected":
                self._track_id = f"{content.endpoint_id}:{uuid.uuid4()}"
                self._connection.addTransceiver(self.microphone, "sendonly")
            case "offer_data":
                await self._offer(content.tracks_types.audio)
            case "sdp_answer":
                await self._connection.setRemoteDescription(RTCSessionDescription(content.sdp, "answer"))

    async def _offer(self, count: int) -> None:
        connection = self._connection
        for _ in range(count - len(connection.getTransceivers()) + 1):
            transceiver = connection.addTransceiver("audio", "recvonly")
            setattr(transceiver.receiver, _BUFFER, self.counter)
        await connection.setLocalDescription(await connection.createOffer())
        mid = connection.getTransceivers()[0].mid
        offer = media_peer.MediaEventSdpOffer(
            sdp=connection.localDescription.sdp,
            track_id_to_metadata_json={self._track_id: _METADATA},
            mid_to_track_id={mid: self._track_id},
        )
        await self._send(sdp_offer=offer)

    async def _send(self, **content: Any) -> None:
        event = media_peer.MediaEvent(**content)
        await self._socket.send(encode(schema.PeerMessage(peer_media_event=event)))


@asynccontextmanager
async def _joined(url: str, token: str, packets: list[bytes]) -> AsyncIterator[_Peer]:
    async with connect(url, compression=None, proxy=None) as socket:
        peer = _Peer(socket, packets)
        running = asyncio.create_task(peer.run(token))
        try:
            yield peer
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await peer.close()


async def main(url: str) -> None:
    """Run until the parent hangs up."""
    # aioice leaves the loopback out.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    packets = _tone()
    peers: list[_Peer] = []
    async with AsyncExitStack() as stack:
        async for request in requests():
            match request["do"]:
                case "join":
                    new = [
                        await stack.enter_async_context(_joined(url, token, packets))
                        for token in request["tokens"]
                    ]
                    async with asyncio.timeout(20):
                        for peer in new:
                            await peer.counter.heard.wait()
                    peers += new
                    say()
                case "measure":
                    before = [(peer.microphone.sent, peer.counter.packets) for peer in peers]
                    await asyncio.sleep(request["seconds"])
                    pairs = list(zip(peers, before, strict=True))
                    say(
                        sent=[peer.microphone.sent - sent for peer, (sent, _) in pairs],
                        received=[peer.counter.packets - received for peer, (_, received) in pairs],
                    )


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
