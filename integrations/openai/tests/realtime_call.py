"""A session of OpenAI Realtime as the link drives it, against the emulator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from fishjam_agents_openai.emulator.realtime import RealtimeEmulator
from fishjam_agents_openai.realtime import Realtime

from fishjam_agents.backends import port as p
from fishjam_agents.events import Turn

LOUD = (8000 * np.sin(np.arange(24000) / 9)).astype(np.int16)
QUIET = np.zeros(24000, np.int16)
TURN = p.TurnEndedInput(Turn("turn-1", "ann", "mic", 0.0, 1.0))
WEATHER = p.ToolDeclaration("weather", "The weather.", {"type": "object", "properties": {}})


class Call:
    """A session as the link drives it, and what came of it."""

    def __init__(self, server: RealtimeEmulator, turn_mode: Any = "local", **settings: Any) -> None:
        self.server = server
        self.events: list[Any] = []
        self.backend = Realtime(base_url=server.base_url, **settings)
        self.context = p.BackendContext("c", self.events.append, "Be brief.", (WEATHER,), turn_mode=turn_mode)

    async def __aenter__(self) -> Call:
        self._opened = self.backend.connect(self.context)
        self.session = await self._opened.__aenter__()
        self.reader = asyncio.ensure_future(self.session.read())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)
        await self._opened.__aexit__(None, None, None)

    async def says(self, *frames: np.ndarray) -> None:
        for frame in frames:
            for start in range(0, len(frame), 480):
                piece = frame[start : start + 480]
                await self.session.send(p.AudioInput("ann", piece, len(piece) / 24000))

    async def turn(self) -> None:
        await self.session.send(p.TurnStartedInput("ann", 0.0))
        await self.says(LOUD)
        await self.session.send(TURN)

    @staticmethod
    def turn_of(peer: str) -> Turn:
        return Turn("turn-2", peer, "mic", 0.0, 0.02)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1) -> Any:
        while len(self.of(kind)) < count:
            if self.reader.done():
                self.reader.result()
            await asyncio.sleep(0.005)
        return self.of(kind)[count - 1]

    async def received(self, kind: str, count: int = 1) -> dict[str, Any]:
        while len(found := [event for event in self.server.received if event["type"] == kind]) < count:  # noqa: ASYNC110 - comes over a socket
            await asyncio.sleep(0.005)
        return found[count - 1]


def run(
    scenario: Callable[[Call], Awaitable[None]],
    answers: Sequence[Sequence[Any]] = (),
    *,
    emulator: Any = (),
    **settings: Any,
) -> RealtimeEmulator:
    async def main() -> RealtimeEmulator:
        async with (
            RealtimeEmulator(deque(answers), **dict(emulator)) as server,
            Call(server, **settings) as call,
        ):
            await scenario(call)
        return server

    return asyncio.run(asyncio.wait_for(main(), 20))
