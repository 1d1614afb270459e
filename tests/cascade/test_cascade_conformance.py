"""The conformance kit for backends against a cascade of parts inside this process, in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fishjam_agents.backends.cascade import (
    Cascade,
    LanguageModel,
    LLMChunk,
    LLMToolCall,
    Message,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.backends.port import Samples, ToolDeclaration
from fishjam_agents.testing.conformance import BackendConformance, FakeService, Received
from tests.cascade.conversations import ConversationSeen

RATE = 24000


@dataclass(eq=False)
class Desk:
    """What the parts do next, and what they were given."""

    sounds: deque[tuple[float, int]] = field(default_factory=deque)
    calls: list[LLMToolCall] = field(default_factory=list)
    answers: deque[str] = field(default_factory=deque)
    seen: ConversationSeen = field(default_factory=ConversationSeen)
    asked: Sequence[Message] = ()


@dataclass(frozen=True, eq=False)
class Ear(SpeechToText):
    desk: Desk
    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        words = self.desk.seen.turn(len(audio) / 16000)
        await asyncio.sleep(0.05)
        yield Transcript(words, final=True)


@dataclass(frozen=True, eq=False)
class Mind(LanguageModel):
    desk: Desk
    in_process: ClassVar[bool] = True
    vision: bool = True

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        self.desk.asked = tuple(messages)
        self.desk.seen.messages(messages, [tool.name for tool in tools])
        await asyncio.sleep(0.05)
        if not tools and self.desk.answers:
            yield self.desk.answers.popleft()
            return
        calls, self.desk.calls = self.desk.calls, []
        for call in calls:
            yield call
        if not calls:
            yield "Yes. "


@dataclass(frozen=True, eq=False)
class Voice(TextToSpeech):
    desk: Desk
    sample_rate: int = RATE
    in_process: ClassVar[bool] = True

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        seconds, sample = self.desk.sounds.popleft() if self.desk.sounds else (0.1, 500)
        piece = np.full(RATE // 10, sample, "<i2").tobytes()
        for _ in range(round(seconds * 10)):
            await asyncio.sleep(0.1)
            # Where pieces end is up to the network: here in the middle of a sample.
            yield piece[:2401]
            yield piece[2401:]


class InThisProcess(FakeService):
    """Three parts, in the kit's hands."""

    connects = False
    unprompted = False
    # Pictures go with the next words that are answered, whichever those are.
    sees = frozenset({"turn_ended", "text", "interrupt", "tool_result", "instructions", "tools"})

    def __init__(self, **settings: Any) -> None:
        self._desk = Desk()
        self._settings = settings

    def backend(self) -> Cascade:
        parts = [Ear(self._desk)], [Mind(self._desk)], [Voice(self._desk)]
        return Cascade(*parts, **self._settings)

    def received(self) -> Sequence[Received]:
        return self._desk.seen.received

    def known(self) -> str:
        return "\n".join(message.text for message in self._desk.asked)

    async def reply(self, seconds: float, sample: int) -> None:
        self._desk.sounds.append((seconds, sample))

    async def answer_question(self, text: str) -> None:
        self._desk.answers.append(text)

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any]) -> None:
        self._desk.calls.append(LLMToolCall(call, name, arguments))


class TestCascade(BackendConformance):
    def fake_service(self) -> FakeService:
        return InThisProcess()


class TestPreemptiveCascade(BackendConformance):
    def fake_service(self) -> FakeService:
        return InThisProcess(preemptive=True)
