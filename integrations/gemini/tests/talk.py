"""A call's end of the backend, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
from fishjam_agents_gemini import Gemini
from fishjam_agents_gemini.emulator import Connection, GeminiEmulator, Session

from fishjam_agents.backends import port as p
from fishjam_agents.backends.link import BackendLink
from fishjam_agents.backends.replacement import Replacement
from fishjam_agents.errors import BackendError
from fishjam_agents.events import Turn

EventT = TypeVar("EventT")
FRAME = 320
"""Samples of 20 ms at 16 kHz."""


def voice(seconds: float, level: int = 8000) -> np.ndarray:
    """Something loud, no two milliseconds of it alike."""
    noise = np.random.default_rng(1).integers(-level, level, round(seconds * 16000))
    return noise.astype(np.int16)


class Talk:
    """A call's end of the backend, without a room: what is put in, what comes out."""

    def __init__(self, backend: Gemini, tools: Sequence[p.ToolDeclaration] = (), **link: Any) -> None:
        self.events: list[p.BackendEvent] = []
        self.outages: list[float] = []
        self.error: BackendError | None = None
        self.turns = 0
        self._came = asyncio.Condition()
        self._link = BackendLink(backend, "call", self._emit, self.outages.append, **link)
        self._link.tools = tools
        self._running = asyncio.create_task(self._run())
        self.connected = self._link.connected

    async def _run(self) -> None:
        try:
            await self._link.run()
        except BackendError as error:
            self.error = error

    def _emit(self, event: p.BackendEvent) -> None:
        self.events.append(event)

    def put(self, *entries: p.BackendInput) -> None:
        for item in entries:
            self._link.put(item)

    def replace(self, replacement: Replacement) -> None:
        self._link.replace(replacement)

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[EventT], count: int = 1) -> EventT:
        async with asyncio.timeout(15):
            while len(self.of(kind)) < count:
                assert self.error is None, self.error
                await asyncio.sleep(0.005)
        return self.of(kind)[count - 1]

    async def ended(self) -> BackendError:
        async with asyncio.timeout(30):
            await self._running
        assert self.error is not None
        return self.error

    def audio(self, samples: np.ndarray, peer: str = "ann") -> None:
        for at in range(0, len(samples), FRAME):
            frame = samples[at : at + FRAME]
            self.put(p.AudioInput(peer, frame, len(frame) / 16000, speech=bool(frame.any())))

    def begin_turn(self, peer: str = "ann") -> None:
        self.turns += 1
        self.put(p.TurnStartedInput(peer, 0.0))

    def end_turn(self, peer: str = "ann") -> None:
        self.put(p.TurnEndedInput(Turn(f"turn-{self.turns}", peer, "track", 0.0, 1.0)))

    def say(self, samples: np.ndarray) -> None:
        """A whole turn."""
        self.begin_turn()
        self.audio(samples)
        self.end_turn()

    def reply_audio(self, reply: str) -> np.ndarray:
        pieces = [event.samples for event in self.of(p.ReplyAudio) if event.reply == reply]
        return np.concatenate(pieces) if pieces else np.empty(0, np.int16)

    def reply_text(self, reply: str) -> str:
        return "".join(event.text for event in self.of(p.ReplyTextDelta) if event.reply == reply)

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@asynccontextmanager
async def talking(backend: Gemini | None = None, **link: Any) -> AsyncIterator[Talk]:
    """A talk with the backend, closed at the end."""
    talk = Talk(backend or Gemini(), **link)
    try:
        yield talk
    finally:
        await talk.close()


def kinds(events: Sequence[object]) -> list[str]:
    """Names of events, runs of the same as one."""
    names = [type(event).__name__ for event in events]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def numbered(turn: int, seconds: float = 0.1) -> np.ndarray:
    """The user's turn of that number: no two alike."""
    return voice(seconds) // 2 + np.int16(turn)


def heard(session: Session) -> list[bytes]:
    """What the model remembers of the user's turns."""
    return [said.audio for said in session.history if said.role == "user" and said.audio]


def spoken(turns: list[np.ndarray]) -> list[bytes]:
    return [turn.astype("<i2").tobytes() for turn in turns]


async def renewed(emulator: GeminiEmulator, number: int) -> Connection:
    async with asyncio.timeout(10):
        return await emulator.connection(number)
