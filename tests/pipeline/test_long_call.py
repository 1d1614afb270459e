"""A call that goes on and on keeps what it needs, and no more with every turn."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from fishjam_agents.audio.formats import AudioFormat
from fishjam_agents.backends import Backend, Parrot
from fishjam_agents.backends.cascade import (
    Cascade,
    LanguageModel,
    LLMChunk,
    Message,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.backends.port import Samples, ToolDeclaration
from fishjam_agents.pipeline import AgentPipeline
from fishjam_agents.testing import VirtualClock
from fishjam_agents.testing.memory import MemoryRoom
from fishjam_agents.testing.memory_session import MemoryTrack
from tests.pipeline.conftest import speech

WARM_UP, MEASURED = 25, 50
"""Turns."""
MOST = 2048
"""Bytes that a turn may add while what is bounded fills up; its sound alone would be 20 times as much."""


@dataclass(frozen=True, eq=False)
class Understanding(SpeechToText):
    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        yield Transcript("What is there to tell?", final=True)


@dataclass(frozen=True, eq=False)
class Model(LanguageModel):
    in_process: ClassVar[bool] = True

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        yield "Not much. "


@dataclass(frozen=True, eq=False)
class Voice(TextToSpeech):
    sample_rate: int = 24000
    in_process: ClassVar[bool] = True

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        yield (8000 * np.sin(np.arange(12000) / 10)).astype("<i2").tobytes()


@pytest.fixture(autouse=True)
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the log nor the room keeps what happened: both would, for tests to look at."""
    monkeypatch.setattr(MemoryTrack, "collect", lambda track: None)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "make",
    [lambda: Parrot(text="Hello."), lambda: Cascade(stt=[Understanding()], llm=[Model()], tts=[Voice()])],
    ids=["parrot", "cascade"],
)
def test_a_turn_leaves_next_to_nothing(make: Callable[[], Backend]) -> None:
    words = speech("alice_yes.wav")

    async def talk() -> float:
        bot = AgentPipeline()
        bot.backend = make()
        ended = 0

        def told(event: object) -> None:
            nonlocal ended
            ended += type(event).__name__ == "ReplyEnded"

        bot.observers.append(told)
        sizes = []
        room = MemoryRoom(16000)
        async with room:
            task = asyncio.create_task(
                bot.run(room.session, input_format=AudioFormat(16000), room=room), name="bot"
            )
            await asyncio.sleep(0.1)
            ann = room.join("ann")
            for turns in (WARM_UP, MEASURED):
                for _ in range(turns):
                    ann.say(words)
                    await asyncio.sleep(4)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
            bot.stop()
            await task
        assert ended == WARM_UP + MEASURED
        return (sizes[1] - sizes[0]) / MEASURED

    tracemalloc.start(1)
    try:
        growth = VirtualClock(3600.0).run(talk())
    finally:
        tracemalloc.stop()
    assert growth < MOST
