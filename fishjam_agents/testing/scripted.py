"""A backend that follows a script: what must be sent to it, and what it answers.

A test fails when an input comes that the script does not expect, or when steps are left over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from fishjam_agents.backends.port import (
    AudioInput,
    Backend,
    BackendContext,
    BackendEvent,
    BackendInput,
    BackendSession,
    Capabilities,
    SessionRefresh,
)
from fishjam_agents.errors import BackendError

Answer: TypeAlias = BackendEvent | float | BackendError | SessionRefresh


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script.

    Attributes:
        expect: The type of the next input that is not audio, or None for a step that waits for nothing.
        answer: Events to emit, in order; a number is a pause in seconds, an exception ends the session.
        check: Called with the input; asserts what it likes.
    """

    expect: type | None
    answer: Sequence[Answer] = ()
    check: Callable[[BackendInput], None] | None = None


@dataclass(frozen=True, eq=False)
class Scripted(Backend):
    """A backend for tests.

    Attributes:
        script: Steps, taken in order over all connections of the call.
        offers: What it can do.
        refuse: How many connections fail before one succeeds.
        entries: Everything it was sent, audio too.
        connections: How often it was connected to.
        sessions: The sessions that are open.
    """

    in_process = True

    script: Sequence[Step] = ()
    offers: Capabilities = field(default_factory=lambda: Capabilities(replies_wait=True))
    refuse: int = 0
    entries: list[BackendInput] = field(default_factory=list)
    connections: list[BackendContext] = field(default_factory=list)
    sessions: list[_ScriptedSession] = field(default_factory=list)
    steps: deque[Step] = field(default_factory=deque)
    surprises: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps.extend(self.script)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        """Capabilities that it was built to offer."""
        return self.offers

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession]:
        """Open a session, or fail as the script has it."""
        self.connections.append(context)
        if len(self.connections) <= self.refuse:
            raise BackendError("the script refuses the connection", retryable=True)
        session = _ScriptedSession(self, context)
        self.sessions.append(session)
        try:
            yield session
        finally:
            self.sessions.remove(session)

    def answer(self, *events: BackendEvent | float | BackendError) -> None:
        """Have the session that is open emit events beside the script, or end with an error."""
        assert self.sessions, "no session is open"
        self.sessions[-1].answer(events)

    def finish(self) -> None:
        """Assert that the script was followed to its end."""
        assert not self.surprises, self.surprises
        assert not self.steps, f"left over: {list(self.steps)}"


class _ScriptedSession(BackendSession):
    def __init__(self, backend: Scripted, context: BackendContext) -> None:
        self._backend = backend
        self._emit = context.emit
        self._answers: asyncio.Queue[Sequence[Answer]] = asyncio.Queue()
        self._go_on()

    def answer(self, events: Sequence[BackendEvent | float | BackendError]) -> None:
        """Emit events, in order and after what is still to be emitted."""
        self._answers.put_nowait(events)

    def _go_on(self) -> None:
        """Steps that wait for nothing answer at once."""
        steps = self._backend.steps
        while steps and steps[0].expect is None:
            self._answers.put_nowait(steps.popleft().answer)

    async def send(self, item: BackendInput) -> None:
        backend = self._backend
        backend.entries.append(item)
        if isinstance(item, AudioInput):
            return
        if not backend.steps:
            backend.surprises.append(f"after the script's end: {item}")
            return
        step = backend.steps.popleft()
        if step.expect is not None and not isinstance(item, step.expect):
            backend.surprises.append(f"expected {step.expect.__name__}, got {item}")
        elif step.check is not None:
            try:
                step.check(item)
            except AssertionError as error:
                backend.surprises.append(f"{item}: {error}")
        self._answers.put_nowait(step.answer)
        self._go_on()

    async def read(self) -> None:
        while True:
            for event in await self._answers.get():
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, (int, float)):
                    await asyncio.sleep(event)
                else:
                    self._emit(event)
