"""Streamers and viewers of livestreams: clients of WHIP and WHEP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy

from ..conftest import Client
from ..sockets import until
from .browser import Heard, Tone, level, pitch

BASE = "/api/v1/live/api"


class Peer:
    """A WHIP or WHEP client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.headers: dict[str, str] = {}
        self.location = ""
        self.heard: Heard | None = None
        self.pc.on("track", self._track)

    def _track(self, track: Any) -> None:
        if track.kind == "audio":
            self.heard = Heard(track)

    async def post(self, path: str, token: str | None) -> httpx.Response:
        """Offer, and take the answer."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self.headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.client.server.url) as http:
            answer = await http.post(
                BASE + path,
                content=self.pc.localDescription.sdp,
                headers={"content-type": "application/sdp", **self.headers},
            )
        if answer.status_code == 201:
            self.location = answer.headers["location"]
            assert answer.headers["content-type"].startswith("application/sdp")
            await self.pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        return answer

    async def request(self, method: str, content: str = "", **headers: str) -> int:
        """A request to the connection's own address."""
        async with httpx.AsyncClient(base_url=self.client.server.url) as http:
            answer = await http.request(
                method, self.location, content=content, headers={**self.headers, **headers}
            )
        return answer.status_code

    async def close(self) -> None:
        if self.heard is not None:
            self.heard.stop()
        await self.pc.close()
        # As in the server: what was about to start is started all the same.
        for transceiver in self.pc.getTransceivers():
            await transceiver.stop()


@asynccontextmanager
async def streamer(client: Client, hertz: float = 440, *, video: bool = False) -> AsyncIterator[Peer]:
    peer = Peer(client)
    if video:
        peer.pc.addTransceiver(VideoStreamTrack(), "sendonly")
    peer.pc.addTransceiver(Tone(hertz), "sendonly")
    try:
        yield peer
    finally:
        await peer.close()


@asynccontextmanager
async def viewer(client: Client) -> AsyncIterator[Peer]:
    """As Fishjam's web client offers: video first, then audio."""
    peer = Peer(client)
    peer.pc.addTransceiver("video", "recvonly")
    peer.pc.addTransceiver("audio", "recvonly")
    try:
        yield peer
    finally:
        await peer.close()


async def stream(client: Client, **config: Any) -> str:
    return await client.room(roomType="audio_only_livestream", **config)


async def token(client: Client, room_id: str, kind: str) -> str:
    answer: str = (await client.http.post(f"/room/{room_id}/{kind}")).json()["token"]
    return answer


async def hears(peer: Peer, hertz: float) -> None:
    await until(lambda: peer.heard is not None and level(peer.heard.samples[-9600:]) > 3000)
    assert peer.heard is not None
    assert abs(pitch(peer.heard.samples[-9600:]) - hertz) < 20


async def until_taken(post: Callable[[], Awaitable[httpx.Response]]) -> None:
    """Offer again and again, until the place is free."""
    while (status := (await post()).status_code) != 201:
        assert status == 409
        await asyncio.sleep(0.05)
