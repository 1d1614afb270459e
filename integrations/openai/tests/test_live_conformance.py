"""The kit for speech to text that streams, against the part, through the real client and the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import pytest
from fishjam_agents_openai.emulator.realtime import Close, Raw, RealtimeEmulator, ServerError
from fishjam_agents_openai.emulator.transcription import NotWritten
from fishjam_agents_openai.live import LiveTranscription

from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import (
    Cut,
    Fails,
    FakeComponentService,
    PartStep,
    StreamingSpeechToTextConformance,
    Unknown,
)

KEY = "sk-of-the-kit"
_CODES = {"auth": "invalid_api_key", "config": "model_not_found", "quota": "insufficient_quota"}


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Import what a first connection does: seconds on a busy machine, which no deadline here is about."""
    asyncio.run(LiveTranscription().load())


class FakeEar(FakeComponentService):
    """The emulator, in the kit's hands."""

    secret = KEY
    deadline = 1.5

    def __init__(self, model: str = "gpt-live-transcribe") -> None:
        self.emulator = RealtimeEmulator(key=KEY)
        self.partials = model == "gpt-live-transcribe"
        self._model = model

    async def __aenter__(self) -> FakeComponentService:
        await self.emulator.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.emulator.stop()

    def part(self) -> LiveTranscription:
        return LiveTranscription(
            base_url=self.emulator.base_url, api_key=KEY, model=self._model, timeout=self.deadline
        )

    async def answer(self, *steps: PartStep) -> None:
        sent: list[Any] = []
        for step in steps:
            match step:
                case Cut():
                    sent.append(Close())
                case Fails(message):
                    sent.append(NotWritten(message))
                case Unknown():
                    sent += [Raw("no event"), Raw({"type": "conversation.item.new", "words": [1]})]
                case _:
                    sent.append(step)
        self.emulator.transcripts.append(sent)

    async def refuse(self, kind: FailureKind) -> None:
        if kind == "network":
            self.emulator.transcripts.append([ServerError("overloaded\nand more")])
            return
        error = {"type": "error", "error": {"code": _CODES[kind], "message": f"Not with {KEY}\nyou know."}}
        self.emulator.transcripts.append([Raw(error)])

    def requests(self) -> int:
        return sum(line.segments for line in self.emulator.transcribing)

    def open_requests(self) -> int:
        return sum(line.is_heard for line in self.emulator.transcribing)

    def received(self) -> Sequence[float]:
        return [seconds for line in self.emulator.transcribing for seconds in line.seconds]


class TestLive(StreamingSpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return FakeEar()


class TestAfterCommits(StreamingSpeechToTextConformance):
    """A model that writes nothing before it has all."""

    def fake_service(self) -> FakeComponentService:
        return FakeEar("gpt-transcribe")
