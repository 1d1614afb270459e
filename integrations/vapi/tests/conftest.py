"""A call with the emulated Vapi, from the port: what the pipeline would send, and what it would be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fishjam_agents_vapi import Vapi
from fishjam_agents_vapi.emulator import VapiEmulator

from fishjam_agents.backends import port
from fishjam_agents.backends.port import BackendSession

KEY = "vapi-private-key-1234"
QUIET = 0.2
"""Seconds of quiet that end a turn: these turns have no pauses, and their tests wait for each end."""


class Line:
    """An open session and the events it emitted."""

    def __init__(self, backend: Vapi) -> None:
        self.backend = backend
        self.events: list[Any] = []
        self.session: BackendSession
        self.reading: asyncio.Task[None]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def vendor(self, kind: str) -> list[Any]:
        return [event.message for event in self.of(port.VendorEvent) if event.kind == kind]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                assert not self.reading.done() or condition(), self.reading
                await asyncio.sleep(0.005)

    async def speak(self, seconds: float = 0.4, *, quiet: float = 0.3) -> None:
        """A turn, sent as fast as it goes."""
        rate = self.backend.sample_rate
        times = np.arange(round(seconds * rate)) / rate
        voice = (9000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16)
        for sound in (voice, np.zeros(round(quiet * rate), np.int16)):
            for start in range(0, len(sound), rate // 50):
                frame = sound[start : start + rate // 50]
                await self.session.send(port.AudioInput("ann", frame, len(frame) / rate))

    def heard(self) -> np.ndarray:
        """All audio of the replies."""
        pieces = [event.samples for event in self.of(port.ReplyAudio)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


@asynccontextmanager
async def open_line(
    vapi: VapiEmulator,
    *,
    tools: tuple[port.ToolDeclaration, ...] = (),
    instructions: str | None = None,
    **settings: Any,
) -> AsyncIterator[Line]:
    backend = Vapi(**{"assistant_id": "receptionist", "api_key": KEY, "url": vapi.url, **settings})
    line = Line(backend)
    context = port.BackendContext("call", line.events.append, instructions, tools)
    async with backend.connect(context) as session:
        assert isinstance(session, BackendSession)
        line.session = session
        line.reading = asyncio.create_task(session.read())
        try:
            yield line
        finally:
            line.reading.cancel()
            await asyncio.gather(line.reading, return_exceptions=True)


Scenario = Callable[[VapiEmulator], Awaitable[None]]


@pytest.fixture
def emulate() -> Callable[..., None]:
    """Run a scenario against an emulated Vapi with the behaviour given."""

    def run(scenario: Scenario, **behaviour: Any) -> None:
        from fishjam_agents_vapi.emulator import Behaviour

        settings = {"key": KEY, "quiet": QUIET, **behaviour}

        async def with_vapi() -> None:
            async with asyncio.timeout(20), VapiEmulator(Behaviour(**settings)) as vapi:
                await scenario(vapi)

        asyncio.run(with_vapi())

    return run


@pytest.fixture
def line() -> Any:
    """`async with line(vapi, **settings) as line`."""
    return open_line
