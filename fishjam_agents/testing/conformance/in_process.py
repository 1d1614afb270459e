"""The far side of a backend that lives in this process: what it was given is what arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar, assert_never

from fishjam_agents.backends.port import (
    AudioEndedInput,
    AudioInput,
    Backend,
    BackendContext,
    BackendInput,
    BackendSession,
    Capabilities,
    ControlInput,
    ImageInput,
    InlineSession,
    InterruptInput,
    OutOfBandInput,
    SpeechSuspectedInput,
    TextInput,
    ToolResultInput,
    TurnCancelledInput,
    TurnEndedInput,
    TurnPausedInput,
    TurnResumedInput,
    TurnStartedInput,
    UpdateInput,
)
from fishjam_agents.testing.conformance.fake_service import FakeService, Received


class InProcess(FakeService):
    """A backend without a service, such as one that only computes.

    Args:
        backend: The backend.
        echoes: Whether its replies sound like the turns they answer.
    """

    connects = False
    shows_knowledge = False

    def __init__(self, backend: Backend, *, echoes: bool = False) -> None:
        self._spy = _Spy(backend)
        self.marks_replies = echoes

    def backend(self) -> Backend:
        """The backend, with somebody who listens."""
        return self._spy

    def received(self) -> Sequence[Received]:
        """Everything it was given."""
        rate = self._spy.capabilities.input_rate or 16000
        found = (as_received(item, rate) for item in self._spy.entries)
        return [received for received in found if received is not None]

    async def reply(self, seconds: float, sample: int) -> None:
        """Replies come by themselves."""


def as_received(item: BackendInput, rate: int) -> Received | None:
    """An input as what arrives of it; None for what is not told of.

    Args:
        item: The entry.
        rate: Hz of the backend's input.
    """
    match item:
        case AudioInput():
            return Received("audio", item.seconds)
        case TurnStartedInput():
            return Received("turn_started")
        case TurnEndedInput():
            return Received("turn_ended", 0.0 if item.audio is None else len(item.audio) / rate)
        case TextInput():
            return Received("text", item.text)
        case ImageInput():
            return Received("image", item.data)
        case InterruptInput():
            return Received("interrupt", None if item.heard is None else item.heard.seconds)
        case UpdateInput(instructions=str(words)):
            return Received("instructions", words)
        case UpdateInput(tools=tools) if tools is not None:
            return Received("tools", tuple(tool.name for tool in tools))
        case ControlInput(message):
            return Received("control", dict(message))
        case ToolResultInput():
            return Received("tool_result", item.result, item.call)
        case UpdateInput() | AudioEndedInput() | TurnPausedInput() | TurnResumedInput():
            return None
        case TurnCancelledInput() | OutOfBandInput() | SpeechSuspectedInput():
            return None
        case _:
            assert_never(item)


@dataclass(frozen=True)
class _Spy(Backend):
    """A backend that notes what it is given."""

    inner: Backend
    entries: list[BackendInput] = field(default_factory=list)
    in_process: ClassVar[bool] = True

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]
        return self.inner.capabilities

    def check(self) -> None:
        self.inner.check()

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[BackendSession | InlineSession]:
        async with self.inner.connect(context) as session:
            if isinstance(session, InlineSession):
                yield _SpiedInline(self, session)
            else:
                yield _Spied(self, session)


class _SpiedInline(InlineSession):
    def __init__(self, spy: _Spy, session: InlineSession) -> None:
        self._spy = spy
        self._session = session

    def handle(self, item: BackendInput) -> None:
        self._spy.entries.append(item)
        self._session.handle(item)


class _Spied(BackendSession):
    def __init__(self, spy: _Spy, session: BackendSession) -> None:
        self._spy = spy
        self._session = session

    async def send(self, item: BackendInput) -> None:
        await self._session.send(item)
        self._spy.entries.append(item)

    async def read(self) -> None:
        await self._session.read()
