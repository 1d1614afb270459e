"""The part of Whisper held to its port: in place of the loaded model is one that can be steered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fishjam_agents_local.whisper import Whisper
from fishjam_agents_local.whisper.component import Connected
from fishjam_agents_local.worker import ModelWorker

from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.cascade import Paused, Speech, SpeechToText
from fishjam_agents.errors import FailureKind
from fishjam_agents.testing.conformance import FakeComponentService, SpeechToTextConformance
from fishjam_agents.testing.conformance.components import Fails, PartStep

_LONGEST = 0.5
"""Seconds that a hearing takes at most: nothing stops one that has begun, and none takes for ever."""


class SteeredModel:
    """Hears what a test wants, in the time it wants."""

    def __init__(self) -> None:
        self.answers: deque[Sequence[PartStep]] = deque()
        self.heard: list[float] = []
        self.open = 0
        self._lock = threading.Lock()

    def words(self, sound: Samples, language: str | None = None) -> str:
        with self._lock:
            self.heard.append(len(sound) / 16000)
            self.open += 1
            steps = self.answers.popleft() if self.answers else ()
        try:
            text = ""
            for step in steps:
                match step:
                    case str():
                        text += step
                    case float():
                        time.sleep(min(step, _LONGEST))
                    case Fails():
                        raise RuntimeError(step.message)
            return text.strip()
        finally:
            with self._lock:
                self.open -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered(Whisper):
    """The part with the steered model in place of a loaded one."""

    steered: Any = None

    def check(self) -> None:
        """There are no files."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpeechToText]:
        with ModelWorker("Whisper").call(20.0) as call:
            yield Connected(self, self.steered, call)


class SteeredService(FakeComponentService):
    refusals: frozenset[FailureKind] = frozenset()
    streams = False
    shows = frozenset({Fails})

    def __init__(self, *, stream: bool) -> None:
        self._model = SteeredModel()
        self._stream = stream

    def part(self) -> Whisper:
        return Steered(steered=self._model, stream=self._stream, interval=10.0)

    async def answer(self, *steps: PartStep) -> None:
        self._model.answers.append(steps)

    def requests(self) -> int:
        return len(self._model.heard)

    def open_requests(self) -> int:
        return self._model.open

    def received(self) -> Sequence[Any]:
        return self._model.heard


class TestSteeredWhisper(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return SteeredService(stream=True)


class TestSteeredWhisperOfWholeTurns(SpeechToTextConformance):
    def fake_service(self) -> FakeComponentService:
        return SteeredService(stream=False)


class BrokenSpeech(Speech):
    """Sound that breaks off by a mistake in the program."""

    async def follow(self) -> AsyncIterator[Samples | Paused]:
        yield np.zeros(320, np.int16)
        raise RuntimeError("no such frame")


def test_a_mistake_where_sound_is_followed_is_raised_and_not_waited_for() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), Steered(steered=SteeredModel()).connect() as part:
            with pytest.raises(RuntimeError, match="no such frame"):
                async for _ in part.hear(BrokenSpeech("ann")):
                    pass

    asyncio.run(scenario())
