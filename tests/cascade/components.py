"""Parts of a cascade inside this process, that follow a script and tell what became of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fishjam_agents.backends.cascade import (
    LanguageModel,
    LLMChunk,
    Message,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.backends.port import Samples, ToolDeclaration
from fishjam_agents.errors import BackendError

LETTER = 0.05
"""Seconds of sound for each letter."""


@dataclass(frozen=True, eq=False)
class Understands(SpeechToText):
    """Understands what the script says; a number is a pause."""

    script: Sequence[Sequence[str | float | Exception]]
    heard: list[Samples] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        self.heard.append(audio)
        text = ""
        ended = "closed"
        try:
            for step in self.script[(len(self.heard) - 1) % len(self.script)]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    text += step
                    yield Transcript(text)
                else:
                    await asyncio.sleep(step)
            yield Transcript(text + "\n", final=True)
            ended = "finished"
        finally:
            self.closed.append(ended)


@dataclass(frozen=True, eq=False)
class Answers(LanguageModel):
    """Answers as the script says: a number is a pause, an error is raised."""

    script: Sequence[Sequence[LLMChunk | float | BackendError]]
    asked: list[list[Message]] = field(default_factory=list)
    tools: list[list[str]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    in_process: ClassVar[bool] = True

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        self.asked.append(list(messages))
        self.tools.append([tool.name for tool in tools])
        ended = "closed"
        try:
            for step in self.script[(len(self.asked) - 1) % len(self.script)]:
                if isinstance(step, BackendError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
            ended = "finished"
        finally:
            self.closed.append(ended)


@dataclass(frozen=True, eq=False)
class Speaks(TextToSpeech):
    """A tone for each letter, in pieces of an odd size of 0.1 s at 24 kHz.

    `pause` seconds go by before each piece, `first` more before the first one.
    """

    sample_rate: int = 24000
    pause: float = 0.0
    first: float = 0.0
    said: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    errors: deque[BackendError] = field(default_factory=deque)
    in_process: ClassVar[bool] = True

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.said.append(text)
        if self.errors:
            raise self.errors.popleft()
        wave = tone(len(text) * LETTER, self.sample_rate).astype("<i2").tobytes()
        ended = "closed"
        try:
            await asyncio.sleep(self.first)
            for at in range(0, len(wave), 4801):
                await asyncio.sleep(self.pause)
                yield wave[at : at + 4801]
            ended = "finished"
        finally:
            self.closed.append(ended)


def tone(seconds: float, rate: int) -> Samples:
    """440 Hz at half of full scale."""
    wave: Samples = (16000 * np.sin(2 * np.pi * 440 / rate * np.arange(round(seconds * rate)))).astype(
        np.int16
    )
    return wave
