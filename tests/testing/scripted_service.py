"""A far side without sockets: a scripted model as a service that can be cut, stalled and refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from fishjam_agents.backends import port as p
from fishjam_agents.errors import BackendError, FailureKind
from fishjam_agents.testing import Scripted
from fishjam_agents.testing.conformance import FakeService, Received, as_received


class Service(Scripted):
    """A scripted model behind a door that may be shut."""

    door: FailureKind | None = None
    silent: bool = False
    lines: Sequence[Line] = ()

    @asynccontextmanager
    async def connect(self, conversation: p.BackendContext) -> AsyncIterator[p.BackendSession]:
        if self.silent:
            await asyncio.Event().wait()
        if self.door is not None:
            network = self.door in ("network", "quota")
            raise BackendError("the door is shut: open it", retryable=network, failure=self.door)
        async with super().connect(conversation) as session:
            line = Line(session)
            object.__setattr__(self, "lines", (*self.lines, line))
            try:
                yield line
            finally:
                object.__setattr__(self, "lines", tuple(other for other in self.lines if other is not line))


class Line(p.BackendSession):
    """A connection that may go half-open."""

    def __init__(self, session: p.BackendSession) -> None:
        self.session = session
        self.stalled = False

    async def send(self, entry: p.BackendInput) -> None:
        if self.stalled:
            await asyncio.Event().wait()
        await self.session.send(entry)

    async def read(self) -> None:
        await self.session.read()


class ScriptedService(FakeService):
    """Drives a `Scripted` backend as an emulator would."""

    resumes = True
    messages = False
    refusals = frozenset({"network", "auth", "config", "quota"})
    secret = "sk-none"
    claims = p.Capabilities(
        own_turn_detection=True,
        truncate=True,
        cancel=True,
        images=True,
        tools=True,
        background_tools=True,
        text=True,
        verbatim_say=True,
        replies_wait=True,
        control=True,
        out_of_band=True,
    )

    def __init__(self) -> None:
        self.model = Service(offers=self.claims)
        self._replies = 0
        self._next: tuple[float, int] | None = None
        self._answered = 0
        self._facts: deque[str] = deque()
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> FakeService:
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._watcher is not None
        self._watcher.cancel()

    def backend(self) -> p.Backend:
        return self.model

    def received(self) -> Sequence[Received]:
        found = (as_received(entry, 16000) for entry in self.model.entries)
        return [item for item in found if item is not None]

    def known(self) -> str:
        return "\n".join(str(context.instructions) for context in self.model.connections)

    async def reply(self, seconds: float, sample: int) -> None:
        self._next = (seconds, sample)

    async def interrupt(self) -> None:
        self.model.answer(p.Interrupted())

    async def late_audio(self) -> None:
        self.model.answer(p.ReplyAudio("r1", np.full(2400, 2000, np.int16)))

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        self.model.answer(p.ToolCall(call, name, arguments))

    async def cancel_tool(self, call: str) -> None:
        self.model.answer(p.ToolCallCancelled(call))

    async def answer_question(self, text: str) -> None:
        self._facts.append(text)

    async def stall(self) -> None:
        for line in self.model.lines:
            line.stalled = True

    async def drop(self) -> None:
        if self.model.sessions:
            self.model.answer(BackendError("the line is dead", retryable=True))

    async def refuse(self, kind: FailureKind | None) -> None:
        object.__setattr__(self.model, "door", kind)
        object.__setattr__(self.model, "silent", False)

    async def hold(self) -> None:
        object.__setattr__(self.model, "silent", True)

    def open_connections(self) -> int:
        return sum(not line.stalled for line in self.model.lines)

    async def _watch(self) -> None:
        """Answers turns with the reply that was asked for, and given words with themselves."""
        while True:
            await asyncio.sleep(0.01)
            entries = self.model.entries
            for entry in entries[self._answered :]:
                if isinstance(entry, p.TextInput) and entry.reply:
                    self._say(entry.reply, 0.5, 3000)
                elif isinstance(entry, p.OutOfBandInput) and self._facts:
                    self.model.answer(p.OutOfBandResponse(entry.question, self._facts.popleft()))
                elif isinstance(entry, p.TurnEndedInput) and self._next:
                    self._replies += 1
                    self._say(f"r{self._replies}", *self._next)
                    self._next = None
            self._answered = len(entries)

    def _say(self, reply: str, seconds: float, sample: int) -> None:
        audio = np.full(round(seconds * 24000), sample, np.int16)
        self.model.answer(p.ReplyStarted(reply), p.ReplyAudio(reply, audio), p.ReplyAudioEnded(reply))
