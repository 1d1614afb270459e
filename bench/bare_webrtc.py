"""The reference of the browser rows: bare aiortc that sends back what it hears; a message each way.

`python -m bench.bare_webrtc '{}'` says its port and then answers `cpu`. Its receive buffer is the embedded
server's: aiortc's own holds 80 ms back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aioice.ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from websockets.asyncio.server import ServerConnection, serve

from bench.child import requests, say
from fishjam_agents.server.webrtc.receive_buffer import ReceiveBuffer

_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class _Buffer:
    """In the place of aiortc's `JitterBuffer`."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        now = time.monotonic()
        self._buffer.put(packet.sequence_number, packet.timestamp, packet.payload, now)
        # On one machine nothing is lost: a packet is given as it comes.
        frames = [JitterFrame(received.payload, packet.timestamp) for received in self._buffer.take(now)]
        return False, frames[-1] if frames else None


async def _answer(socket: ServerConnection) -> None:
    offer = await socket.recv(decode=True)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    @connection.on("track")
    def heard(track: MediaStreamTrack) -> None:
        (transceiver,) = connection.getTransceivers()
        receiver: RTCRtpReceiver = transceiver.receiver
        setattr(receiver, _BUFFER, _Buffer())
        connection.addTrack(track)

    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    await socket.send(connection.localDescription.sdp)
    try:
        await socket.wait_closed()
    finally:
        await connection.close()


async def main() -> None:
    """Run until the parent hangs up."""
    # aioice leaves the loopback out.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    async with serve(_answer, "127.0.0.1", 0) as server:
        say(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async for request in requests():
            match request["do"]:
                case "cpu":
                    begun = time.process_time()
                    await asyncio.sleep(request["seconds"])
                    say(seconds=time.process_time() - begun)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
