"""An event loop that stands still for 300 ms under calls over real sockets: nothing is lost or made up.

The media server is a thread of its own. It sends each call numbered frames in real time, stall or not, and
each bot has one long reply of numbered chunks.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pytest

from bench.wire import ServerSocket, binary_frame, unmasked
from fishjam_agents import AgentPipeline, HearingSettings, TurnSettings
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.port import (
    AudioInput,
    Backend,
    BackendContext,
    BackendInput,
    Capabilities,
    InlineSession,
    ReplyAudio,
)
from fishjam_agents.fishjam import Agent
from fishjam_agents.playout.settings import PlayoutSettings
from fishjam_agents.protocol import Track, TrackDataEncoder, TrackType, encode_authenticated
from fishjam_agents.protocol.agent_decoder import decode_agent_request
from fishjam_agents.protocol.messages import AddTrack, AuthRequest, TrackChunk

RATE, FRAME = 16000, 320
CALLS = 12
STALL = 0.3
AFTER = 75
"""Frames after the stall, 1.5 s, that each call must have heard and said."""
PATIENCE = 30.0


def numbered(number: int) -> Samples:
    """A quiet frame that begins with its number."""
    frame = np.random.default_rng(number).integers(-9, 10, FRAME).astype(np.int16)
    frame[0] = number
    return frame


class ServedCall(ServerSocket):
    """One call, as the server sees it."""

    _encode = TrackDataEncoder("ann", Track("mic", TrackType.AUDIO, '{"type":"microphone"}')).encode

    def __init__(self, server: ThreadedServer) -> None:
        super().__init__()
        self._server = server
        self._sent = 0
        self.said: list[int] = []

    def message(self, mask: bytes, payload: bytes) -> None:
        request = decode_agent_request(unmasked(mask, payload, 0, len(payload)).to_bytes(len(payload)))
        match request:
            case AuthRequest():
                self.transport.write(binary_frame(encode_authenticated()))
            case AddTrack():
                self._server.calls.append(self)
            case TrackChunk():
                self.said.append(int(np.frombuffer(request.data, np.int16)[0]))

    def speak(self) -> None:
        self.transport.write(binary_frame(self._encode(numbered(self._sent % 30000).tobytes())))
        self._sent += 1


class ThreadedServer(threading.Thread):
    """A media server on a thread: it goes on while the loop of the bots stands still."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.calls: list[ServedCall] = []
        self.port = 0
        self.ready = threading.Event()
        self.late = 0.0
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: ServedCall(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        due = self._loop.time()
        while not self._over.is_set():
            due += 0.02
            await asyncio.sleep(due - self._loop.time())
            self.late = max(self.late, self._loop.time() - due)
            for call in list(self.calls):
                if not call.transport.is_closing():
                    call.speak()
        server.close()
        for call in self.calls:
            call.transport.abort()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(PATIENCE)


@dataclass
class Numbered(Backend):
    """Says one long reply, and notes the numbers of what it hears."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE, output_rate=RATE, own_turn_detection=True
    )
    heard: list[int] = field(default_factory=list)
    made_up: list[int] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        context.emit(ReplyAudio("long", np.concatenate([numbered(number) for number in range(3000)])))
        yield _NumberedSession(self)


class _NumberedSession(InlineSession):
    def __init__(self, backend: Numbered) -> None:
        self._backend = backend

    def handle(self, item: BackendInput) -> None:
        if not isinstance(item, AudioInput):
            return
        while self._backend.stalls:
            time.sleep(self._backend.stalls.pop())
        if len(item.samples) == FRAME and np.any(item.samples):
            self._backend.heard.append(int(item.samples[0]))
        else:
            self._backend.made_up.append(len(item.samples))


class Ahead:
    """Lead of what a bot has sent over real time, by its own clock, which a busy machine does not bend."""

    def __init__(self) -> None:
        self.worst = 0.0

    def sent(self, samples: Samples, end: float) -> None:
        self.worst = max(self.worst, end - asyncio.get_running_loop().time())

    def cut(self, at: float) -> None:
        """The call is over."""


def bot_of(backend: Numbered) -> AgentPipeline:
    bot = AgentPipeline()
    bot.backend = backend
    bot.turns = TurnSettings(mode="backend", silence_locally=False)
    bot.hearing = HearingSettings(echo="none")
    return bot


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110 - as the server counts, in its thread
            await asyncio.sleep(0.02)


async def stalled(server: ThreadedServer, where: str) -> None:
    backends = [Numbered() for _ in range(CALLS)]
    bots = [bot_of(backend) for backend in backends]
    aheads = [Ahead() for _ in bots]

    async def call(number: int, bot: AgentPipeline) -> None:
        agent = Agent(f"agent-{number}", "room", "token", f"http://127.0.0.1:{server.port}")
        async with agent.connect() as session:
            await bot.run(session)

    running = [asyncio.create_task(call(number, bot)) for number, bot in enumerate(bots)]
    await until(lambda: all(len(backend.heard) > 25 for backend in backends) and len(server.calls) == CALLS)
    for bot, ahead in zip(bots, aheads, strict=True):
        assert bot._call is not None
        bot._call.output.recording = ahead
    made_up = [len(backend.made_up) for backend in backends]
    server.late = 0.0

    if where == "timer":
        asyncio.get_running_loop().call_later(0, time.sleep, STALL)
    else:
        # Inside the callback that reads the socket.
        backends[0].stalls.append(STALL)
    await until(lambda: not backends[0].stalls)
    heard, said = [len(backend.heard) for backend in backends], [len(call.said) for call in server.calls]
    await until(
        lambda: (
            all(len(b.heard) >= before + AFTER for b, before in zip(backends, heard, strict=True))
            and all(len(c.said) >= before + AFTER for c, before in zip(server.calls, said, strict=True))
        )
    )

    for backend, before in zip(backends, made_up, strict=True):
        assert backend.heard == list(range(backend.heard[0], backend.heard[0] + len(backend.heard)))
        # A server that is held up itself has nothing to be read, which is missing.
        assert backend.made_up[before:] == [] or server.late > 0.05, (
            "what was not read yet was taken for missing"
        )
    for served in server.calls:
        assert served.said == list(range(len(served.said)))
    assert all(ahead.worst <= PlayoutSettings().max_lead + 0.03 for ahead in aheads)
    for bot in bots:
        bot.stop()
    await asyncio.gather(*running)


def _runners() -> list[Any]:
    if find_spec("uvloop") is None:
        return [pytest.param("asyncio")]
    return [pytest.param("asyncio"), pytest.param("uvloop")]


@pytest.mark.parametrize("where", ["timer", "socket"])
@pytest.mark.parametrize("loop", _runners())
def test_after_a_stall_every_call_goes_on_where_it_was(loop: str, where: str) -> None:
    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    if loop == "uvloop":
        run = pytest.importorskip("uvloop").run
    server = ThreadedServer()
    server.start()
    try:
        assert server.ready.wait(PATIENCE)
        run(stalled(server, where))
    finally:
        server.stop()
