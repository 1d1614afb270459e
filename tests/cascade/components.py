"""Parts of a cascade inside this process, that follow a script and tell what became of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fishjam_agents.backends.cascade import (
    EndOfSpeech,
    LanguageModel,
    LLMChunk,
    Message,
    Paused,
    Speech,
    SpeechToText,
    StreamingSpeechToText,
    TextToSpeech,
    Transcript,
    TranscriptPiece,
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
class Streams(StreamingSpeechToText):
    """Understands a word at each of these seconds of a turn's sound.

    All that is due comes `lag` s after a pause or the end. In a word's place an error is raised, and an
    `EndOfSpeech` yielded. A word is known to end where it is.
    """

    script: Sequence[Sequence[tuple[float, str | EndOfSpeech | Exception]]]
    lag: float = 0.0
    heard: list[Samples] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    in_process: ClassVar[bool] = True

    async def hear(self, speech: Speech) -> AsyncIterator[TranscriptPiece]:
        script = deque(self.script[len(self.closed) % len(self.script)])
        number = len(self.closed)
        self.closed.append("open")
        seconds, text, at, due = 0.0, "", 0.0, self.lag
        try:
            async for piece in speech.follow():
                if isinstance(piece, Paused):
                    self.pauses.append(piece.at)
                    await asyncio.sleep(self.lag)
                    yield Transcript(text, stable=True, end=at)
                    due = 0.0
                    continue
                due = self.lag
                seconds += len(piece) / 16000
                while script and script[0][0] <= seconds + 1e-6:
                    at, word = script.popleft()
                    if isinstance(word, Exception):
                        raise word
                    if isinstance(word, EndOfSpeech):
                        yield word
                        continue
                    text = f"{text} {word}".strip()
                    yield Transcript(text, end=at)
            self.heard.append(speech.samples)
            await asyncio.sleep(due)
            yield Transcript(text, final=True, end=at)
            self.closed[number] = "finished"
        finally:
            if self.closed[number] == "open":
                self.closed[number] = "closed"


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
