"""An agent in a room with browsers: what it hears, and what it sings."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import websockets

from fishjam_agents.protocol import (
    Track,
    TrackData,
    TrackImage,
    TrackType,
    decode_agent_response,
    encode_add_track,
    encode_capture_image,
    encode_interrupt,
    encode_track_chunk,
)

from ..conftest import Client
from .browser import Samples, level

RATE = 24000


class Agent:
    """An agent's socket, which is always read."""

    def __init__(self, socket: websockets.ClientConnection, peer_id: str) -> None:
        self.socket = socket
        self.id = peer_id
        self.frames: dict[str, list[Samples]] = {}
        self.pictures: list[TrackImage] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                assert isinstance(data, bytes)
                message = decode_agent_response(data)
                if isinstance(message, TrackData):
                    assert len(message.data) == 640
                    frame = np.frombuffer(message.data, np.int16)
                    self.frames.setdefault(message.track.id, []).append(frame)
                elif isinstance(message, TrackImage):
                    self.pictures.append(message)
                self._news.set()
        except websockets.ConnectionClosed:
            pass

    async def next(self) -> None:
        """Wait for the next message."""
        self._news.clear()
        await self._news.wait()

    async def hear(self, seconds: float, track_id: str | None = None) -> Samples:
        """So much of what comes from now on, from the first sound that is none of silence; 16 kHz."""
        begun = {key: len(frames) for key, frames in self.frames.items()}
        while True:
            for key, frames in self.frames.items():
                if track_id is None or key == track_id:
                    new = frames[begun.get(key, 0) :]
                    first = next((n for n, frame in enumerate(new) if level(frame) > 500), len(new))
                    if len(new) - first >= seconds * 50:
                        return np.concatenate(new[first:])
            await self.next()

    async def sing(self, hertz: float, seconds: float) -> str:
        """Publish a track and sing on it; returns its id."""
        track_id = str(uuid.uuid4())
        track = Track(track_id, int(TrackType.AUDIO), '{"type":"microphone"}')
        await self.socket.send(encode_add_track(track, sample_rate=RATE))
        times = np.arange(round(seconds * RATE)) / RATE
        await self.play(track_id, (9000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16))
        return track_id

    async def play(self, track_id: str, sound: Samples) -> None:
        for start in range(0, len(sound), 480):
            await self.socket.send(encode_track_chunk(track_id, sound[start : start + 480].tobytes()))

    async def capture(self, track_id: str) -> bytes:
        """A still of a video track."""
        before = len(self.pictures)
        await self.socket.send(encode_capture_image(track_id))
        while len(self.pictures) == before:
            await self.next()
        assert self.pictures[-1].content_type == "image/jpeg"
        return self.pictures[-1].data

    async def interrupt(self, track_id: str) -> None:
        await self.socket.send(encode_interrupt(track_id))


@asynccontextmanager
async def attend(client: Client, room_id: str, **options: object) -> AsyncIterator[Agent]:
    """An agent in a room."""
    peer_id, token = await client.peer(room_id, "agent", **options)
    async with client.agent(token) as socket:
        agent = Agent(socket, peer_id)
        try:
            yield agent
        finally:
            await socket.close()
            agent._task.cancel()
