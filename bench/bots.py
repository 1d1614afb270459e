"""The bots that are measured: ours, and what they are compared with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from bench.sounds import FRAME, KEY, RATE, Scene, bot_voice, noise, scene
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import (
    AudioInput,
    Backend,
    BackendContext,
    BackendInput,
    BackendSession,
    Capabilities,
    InlineSession,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyStarted,
)
from fishjam_agents.errors import BackendError
from fishjam_agents.hearing.settings import HearingSettings
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.protocol import Track, TrackChunkEncoder, TrackType, encode_add_track, encode_auth_request
from fishjam_agents.turns.settings import TurnSettings


class Counter:
    """Frames handled by this process: in and out count as one."""

    frames = 0


@dataclass(frozen=True, slots=True)
class Echo(Backend):
    """Says what it hears in one endless reply, as a full-duplex model would.

    It owns the turns and is not silenced by us: so audio flows both ways all the time while voice detection
    and the turn machine work on every frame.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE, output_rate=RATE, own_turn_detection=True
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session in this process."""
        yield _EchoSession(context)


class _EchoSession(InlineSession):
    def __init__(self, context: BackendContext) -> None:
        self._emit = context.emit
        self._emit(ReplyStarted("echo"))

    def handle(self, item: BackendInput) -> None:
        # Silence that stands for packets that never came has no frame's length: it is not an echo of any.
        if isinstance(item, AudioInput) and len(item.samples) == FRAME:
            Counter.frames += 1
            self._emit(ReplyAudio("echo", item.samples))


@dataclass(frozen=True, slots=True)
class HalfTime(Backend):
    """Speaks half of the time, while its user is quiet; as `sounds.scene("half")` has it.

    What it says is somebody else's voice, each frame with the beginning of the one that it answers.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE, output_rate=RATE, own_turn_detection=True
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session in this process."""
        yield _HalfTimeSession(context)


class _Lines:
    """Frames that a bot hears and says which speaks half of the time."""

    def __init__(self) -> None:
        heard = scene("half")
        self.keys = [frame[:KEY] for frame in heard.microphones[0]]
        self.positions = {key: position for position, key in enumerate(self.keys)}
        self.answered = heard.answered
        voice = [np.frombuffer(frame, np.int16) for frame in bot_voice()]
        self.answers: list[Samples] = []
        for position, key in enumerate(self.keys):
            frame = voice[position % len(voice)].copy()
            frame[: KEY // 2] = np.frombuffer(key, np.int16)
            self.answers.append(frame)


_lines = cache(_Lines)


class _HalfTimeSession(InlineSession):
    def __init__(self, context: BackendContext) -> None:
        self._emit = context.emit
        self._lines = _lines()
        self._position = -1
        self._replies = itertools.count()
        self._reply: str | None = None

    def handle(self, item: BackendInput) -> None:
        if not isinstance(item, AudioInput) or len(item.samples) != FRAME:
            return
        Counter.frames += 1
        # A model that rules the turns is given silence where its own voice may be in a microphone.
        lines = self._lines
        follows = (self._position + 1) % len(lines.keys)
        self._position = lines.positions.get(item.samples[: KEY // 2].tobytes(), follows)
        if lines.keys[self._position] not in lines.answered:
            if self._reply is not None:
                self._emit(ReplyAudioEnded(self._reply))
                self._reply = None
            return
        if self._reply is None:
            self._reply = f"reply-{next(self._replies)}"
            self._emit(ReplyStarted(self._reply))
        self._emit(ReplyAudio(self._reply, lines.answers[self._position]))


@dataclass(frozen=True, slots=True)
class Talker(Backend):
    """Has begun a long reply before anyone says a word."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE, output_rate=RATE, wants_turn_audio=True, cancel=True
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session in this process."""
        context.emit(ReplyAudio("talk", noise(30.0, -30, seed=4)))
        yield _DeafSession()


class _DeafSession(InlineSession):
    def handle(self, item: BackendInput) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Listener(Backend):
    """Hears everything and never says a word."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE, output_rate=RATE, own_turn_detection=True
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session in this process."""
        yield _DeafSession()


@dataclass(frozen=True, slots=True)
class RemoteModel(Backend):
    """A model behind a WebSocket; each message is the audio of one reply."""

    capabilities: ClassVar[Capabilities] = Capabilities(input_rate=RATE, output_rate=RATE)

    url: str = ""

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        """Connect to it."""
        async with connect(self.url, compression=None) as socket:
            yield _RemoteSession(socket, context)


class _RemoteSession(BackendSession):
    def __init__(self, socket: ClientConnection, context: BackendContext) -> None:
        self._socket = socket
        self._emit = context.emit

    async def send(self, item: BackendInput) -> None:
        if isinstance(item, AudioInput):
            await self._socket.send(item.samples.tobytes())

    async def read(self) -> None:
        replies = itertools.count()
        async for message in self._socket:
            assert isinstance(message, bytes)
            reply = f"reply-{next(replies)}"
            self._emit(ReplyAudio(reply, np.frombuffer(message, np.int16)))
            self._emit(ReplyAudioEnded(reply))
        raise BackendError("the model hung up")


def make_bot(kind: str, model_url: str = "") -> AgentPipeline:
    """A pipeline with one of the backends above."""
    bot = AgentPipeline()
    if kind in ("echo", "mix"):
        bot.backend = Echo()
        bot.turns = TurnSettings(mode="backend", silence_locally=False)
        # It says what it hears, which is an echo to the guard: its dearest case, and nobody's.
        bot.hearing = HearingSettings(echo="none", mode="mix" if kind == "mix" else "active_speaker")
    elif kind == "half":
        bot.backend = HalfTime()
        bot.turns = TurnSettings(mode="backend")
    else:
        bot.backend = RemoteModel(model_url) if kind == "model" else Talker()
    return bot


@asynccontextmanager
async def bare_socket(port: int, name: str = "websocket") -> AsyncIterator[ClientConnection]:
    """A plain client of the load generator, with the options our own sockets have."""
    async with connect(f"ws://127.0.0.1:{port}/socket/agent/{name}", compression=None, proxy=None) as socket:
        await socket.send(encode_auth_request("token"))
        await socket.recv()
        await socket.send(encode_add_track(Track("voice", TrackType.AUDIO, "null"), sample_rate=RATE))
        yield socket


async def bare_echo(port: int, joined: asyncio.Semaphore, heard: Scene, *, witness: bool = False) -> None:
    """The reference: every message that has an answer in the scene is sent back as it came."""
    spoken = frozenset(frame[:KEY] for frame in heard.microphones[0])
    async with bare_socket(port, "witness" if witness else "websocket") as socket:
        joined.release()
        if len(heard.microphones) == 1 and len(heard.answered) == len(spoken):
            while True:
                message = await socket.recv()
                await socket.send(message)
                Counter.frames += 1
        while True:
            message = await socket.recv(decode=False)
            key = message[-2 * FRAME : KEY - 2 * FRAME]
            Counter.frames += key in spoken
            if key in heard.answered:
                await socket.send(message)


async def bare_relay(port: int, model_url: str, joined: asyncio.Semaphore) -> None:
    """The reference for a model: its audio goes to the room as it came, the room's audio nowhere."""
    encode = TrackChunkEncoder("voice").encode
    async with bare_socket(port) as socket, connect(model_url, compression=None, proxy=None) as model:

        async def listen() -> None:
            while True:
                await model.send((await socket.recv())[-640:])

        listening = asyncio.create_task(listen())
        joined.release()
        try:
            while True:
                await socket.send(encode(await model.recv(decode=False)))
        finally:
            listening.cancel()
