"""A browser made of aiortc, which speaks the peer socket as Fishjam's web client does."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import betterproto
import numpy as np
import numpy.typing as npt
import websockets
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy

from fishjam_agents.protocol import decode, encode
from fishjam_agents.protocol.generated import media_peer, media_server
from fishjam_agents.protocol.generated import peer as schema
from fishjam_agents.protocol.generated.media import ChannelMessage, ChannelMessageBinary

from ..conftest import Client

Samples = npt.NDArray[np.int16]
RATE = 48000


class Tone(MediaStreamTrack):
    """A microphone: a sine in real time, or what `silent`, `stopped` make of it."""

    kind = "audio"

    def __init__(self, hertz: float = 440.0, amplitude: float = 9000.0) -> None:
        super().__init__()
        self.hertz = hertz
        self.amplitude = amplitude
        self.silent = False
        self.stopped = False
        self._position = 0
        self._start: float | None = None

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._start is None:
            self._start = loop.time()
        await asyncio.sleep(self._start + self._position / RATE - loop.time())
        while self.stopped:  # noqa: ASYNC110 - as real as a microphone that is switched off
            await asyncio.sleep(0.02)
        times = np.arange(self._position, self._position + 960) / RATE
        mono = np.zeros(960) if self.silent else self.amplitude * np.sin(2 * np.pi * self.hertz * times)
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(np.repeat(mono.astype(np.int16), 2).tobytes())
        frame.sample_rate = RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, RATE)
        self._position += 960
        return frame


class Picture(MediaStreamTrack):
    """A camera: one grey for every frame, 15 of them a second."""

    kind = "video"

    def __init__(self, grey: int = 200, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self.grey = grey
        self.size = (height, width)
        self._number = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 15)
        frame = av.VideoFrame.from_ndarray(np.full((*self.size, 3), self.grey, np.uint8), "rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = self._number * 6000
        frame.time_base = Fraction(1, 90000)
        self._number += 1
        return frame


class Heard:
    """A remote track: what came of it."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.frames: list[Samples] = []
        self.pictures: list[av.VideoFrame] = []
        self.track = track
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                frame = await self.track.recv()
                if isinstance(frame, av.VideoFrame):
                    self.pictures.append(frame)
                    continue
                assert isinstance(frame, av.AudioFrame)
                self.frames.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
        except MediaStreamError:
            pass

    @property
    def samples(self) -> Samples:
        """int16 mono at 48 kHz."""
        return np.concatenate(self.frames) if self.frames else np.zeros(0, np.int16)

    def stop(self) -> None:
        self._task.cancel()


class Browser:
    """One browser: its socket, its connection, and what it was told."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.id = ""
        self.told: list[tuple[str, Any]] = []
        self.endpoints: dict[str, str] = {}
        self.tracks: dict[str, tuple[str, str]] = {}
        self.speaking: dict[str, bool] = {}
        self.heard: dict[str, Heard] = {}
        self.error = ""
        self.rounds = 0
        self.local: dict[str, tuple[MediaStreamTrack, str]] = {}
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.channels: dict[str, RTCDataChannel] = {}
        self.joined = asyncio.Event()
        self.rewrite: Callable[[str], str] = str
        self.rewrite_offer: Callable[[str], str] = str
        self._answered = asyncio.Event()
        self._answer: Any = None
        self._receiver = asyncio.create_task(self._receive())
        self._negotiating: asyncio.Task[None] | None = None

    async def send(self, **content: Any) -> None:
        event = media_peer.MediaEvent(**content)
        await self.socket.send(encode(schema.PeerMessage(peer_media_event=event)))

    async def send_connect(self, metadata: Mapping[str, Any] | None = None) -> None:
        text = json.dumps(dict(metadata or {}))
        await self.send(connect=media_peer.MediaEventConnect(metadata_json=text))

    async def connect(self, metadata: Mapping[str, Any] | None = None) -> None:
        await self.send_connect(metadata)
        await self.joined.wait()

    async def publish(self, track: MediaStreamTrack, metadata: Mapping[str, Any] | None = None) -> str:
        """Publish a track, and return its id once it is negotiated."""
        track_id = f"{self.id}:{uuid.uuid4()}"
        text = json.dumps(dict({"type": "microphone", "paused": False} if metadata is None else metadata))
        self.local[track_id] = (track, text)
        await self.renegotiate(lambda: track_id in self._mids().values())
        return track_id

    async def renegotiate(self, done: Callable[[], bool] | None = None) -> None:
        await self.send(renegotiate_tracks=media_peer.MediaEventRenegotiateTracks())
        rounds = self.rounds
        while self.rounds == rounds or not (done is None or done()):
            self._answered.clear()
            await self._answered.wait()

    async def describe(self, track_id: str, metadata: Mapping[str, Any]) -> None:
        text = json.dumps(dict(metadata))
        self.local[track_id] = (self.local[track_id][0], text)
        await self.send(
            update_track_metadata=media_peer.MediaEventUpdateTrackMetadata(
                track_id=track_id, metadata_json=text
            )
        )

    async def update(self, metadata: Mapping[str, Any]) -> None:
        """Describe itself anew."""
        text = json.dumps(dict(metadata))
        await self.send(
            update_endpoint_metadata=media_peer.MediaEventUpdateEndpointMetadata(metadata_json=text)
        )

    async def unmute(self, track_id: str) -> None:
        await self.send(unmute_track=media_peer.MediaEventUnmuteTrack(track_id=track_id))

    async def leave(self) -> None:
        """Leave without closing the socket."""
        await self.send(disconnect=media_peer.MediaEventDisconnect())

    async def open_data(self) -> dict[str, list[tuple[str, bytes]]]:
        """Open both data channels; what comes by each is collected in what is returned: source and data."""
        received: dict[str, list[tuple[str, bytes]]] = {"reliable": [], "lossy": []}
        options: dict[str, dict[str, Any]] = {
            "reliable": {},
            "lossy": {"ordered": False, "maxRetransmits": 0},
        }
        opened = []
        for label, more in options.items():
            channel = self.pc.createDataChannel(label, **more)
            self.channels[label] = channel
            event = asyncio.Event()
            opened.append(event.wait())
            channel.on("open", event.set)

            def took(data: bytes, label: str = label) -> None:
                message = decode(ChannelMessage, data)
                received[label].append((message.source, message.binary.data))

            channel.on("message", took)
        await self.renegotiate()
        await asyncio.gather(*opened)
        return received

    def send_data(self, label: str, data: bytes, *destinations: str) -> None:
        message = ChannelMessage(
            source="mock", destinations=list(destinations or ("*",)), binary=ChannelMessageBinary(data=data)
        )
        self.channels[label].send(encode(message))

    async def withdraw(self, track_id: str) -> None:
        """Remove a track of its own."""
        track, _ = self.local.pop(track_id)
        for transceiver in self.pc.getTransceivers():
            if transceiver.sender.track is track:
                transceiver.sender.replaceTrack(None)
                transceiver.direction = "inactive"
        await self.renegotiate()

    async def close(self) -> None:
        self._receiver.cancel()
        if self._negotiating is not None:
            # Cancelled in the middle of gathering it would leave sockets open.
            await asyncio.wait({self._negotiating}, timeout=0.3)
            self._negotiating.cancel()
        for heard in self.heard.values():
            heard.stop()
        await self.pc.close()
        await self.socket.close()

    async def _receive(self) -> None:
        async for data in self.socket:
            assert isinstance(data, bytes)
            which, message = betterproto.which_one_of(decode(schema.PeerMessage, data), "content")
            if which == "server_media_event":
                self._take(message)

    def _take(self, event: Any) -> None:
        which, content = betterproto.which_one_of(event, "content")
        content_: Any = content
        self.told.append((which, content))
        match which:
            case "connected":
                self.id = content_.endpoint_id
                for key, endpoint in content_.endpoint_id_to_endpoint.items():
                    self.endpoints[key] = endpoint.metadata_json
                self.joined.set()
            case "endpoint_added" | "endpoint_updated":
                self.endpoints[content_.endpoint_id] = content_.metadata_json
            case "endpoint_removed":
                del self.endpoints[content_.endpoint_id]
                self.tracks = {k: v for k, v in self.tracks.items() if v[0] != content_.endpoint_id}
            case "tracks_added":
                assert content_.endpoint_id in self.endpoints
                for key, track in content_.track_id_to_track.items():
                    assert key not in self.tracks
                    self.tracks[key] = (content_.endpoint_id, track.metadata_json)
            case "track_updated":
                self.tracks[content_.track_id] = (content_.endpoint_id, content_.metadata_json)
            case "tracks_removed":
                for key in content_.track_ids:
                    del self.tracks[key]
            case "vad_notification":
                assert content_.track_id in self.tracks
                self.speaking[content_.track_id] = content_.status == 2
            case "offer_data":
                # As in a browser, what is asked for next waits for what is being applied.
                assert self._negotiating is None or self._answer is not None, "two rounds at once"
                self._negotiating = asyncio.create_task(self._offer(content_.tracks_types, self._negotiating))
            case "sdp_answer":
                self._answer = content_
                self._answered.set()
            case "error":
                self.error = content_.message

    def _mids(self) -> dict[str, str]:
        return dict(self._answer.mid_to_track_id) if self._answer is not None else {}

    async def _offer(
        self, types: media_server.MediaEventOfferDataTrackTypes, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await before
        pc = self.pc
        for track, _ in self.local.values():
            if all(sender.track is not track for sender in pc.getSenders()):
                pc.addTransceiver(track, "sendonly")
        for kind, wanted in (("audio", types.audio), ("video", types.video)):
            there = [t for t in pc.getTransceivers() if t.kind == kind and t.direction == "recvonly"]
            assert len(there) <= wanted, "the counts of offer_data fell"
            for _ in range(wanted - len(there)):
                pc.addTransceiver(kind, "recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        by_track = {id(track): key for key, (track, _) in self.local.items()}
        mids = {
            t.mid or "": by_track[id(t.sender.track)]
            for t in pc.getTransceivers()
            if t.direction == "sendonly" and id(t.sender.track) in by_track
        }
        self._answer = None
        self._answered.clear()
        await self.send(
            sdp_offer=media_peer.MediaEventSdpOffer(
                sdp=self.rewrite_offer(pc.localDescription.sdp),
                mid_to_track_id=mids,
                track_id_to_metadata_json={key: text for key, (_, text) in self.local.items()},
            )
        )
        while self._answer is None:
            await self._answered.wait()
            self._answered.clear()
        answer = self._answer
        await pc.setRemoteDescription(RTCSessionDescription(self.rewrite(answer.sdp), "answer"))
        for transceiver in pc.getTransceivers():
            track_id = answer.mid_to_track_id.get(transceiver.mid)
            if transceiver.direction == "recvonly" and track_id is not None and track_id not in self.heard:
                assert transceiver.receiver.track is not None
                self.heard[track_id] = Heard(transceiver.receiver.track)
        self.rounds += 1
        self._answered.set()


@asynccontextmanager
async def open_browser(client: Client, token: str) -> AsyncIterator[Browser]:
    """A browser that is authenticated and has sent nothing else."""
    async with client.socket("peer") as socket:
        await socket.send(encode(schema.PeerMessage(auth_request=schema.PeerMessageAuthRequest(token=token))))
        await socket.recv()
        browser = Browser(socket)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def join(client: Client, room_id: str, **metadata: Any) -> AsyncIterator[Browser]:
    """A browser in a room."""
    _, token = await client.peer(room_id)
    async with open_browser(client, token) as browser:
        await browser.connect(metadata)
        yield browser


def level(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def pitch(samples: Samples, rate: int = RATE) -> float:
    """The strongest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))
