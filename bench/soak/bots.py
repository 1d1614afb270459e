"""Bots of a soak: a parrot and a cascade with parts in the process, which note what arrives at them."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.soak.marks import marks, voice
from bench.soak.notes import LATE, Notes
from fishjam_agents import AgentPipeline
from fishjam_agents.audio.samples import Samples
from fishjam_agents.backends.cascade import (
    Cascade,
    LanguageModel,
    LLMChunk,
    Message,
    SpeechToText,
    TextToSpeech,
    Transcript,
)
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendInput,
    Capabilities,
    InlineSession,
    InterruptInput,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyStarted,
    ToolDeclaration,
    TurnEndedInput,
)

RATE = 16000
PROBE = 0.1
"""Seconds between two looks at the number of tasks, and at how late the loop is."""

_UTTERANCE = re.compile(r"call\d+said\d+")
_notes = Notes(Path(os.environ["SOAK_FOLDER"]) / f"bots-{os.getpid()}.jsonl")
_probing = False


def _probe(due: float, count: int) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    if now - due > LATE:
        _notes.put("late", t=time.monotonic() - (now - due), seconds=now - due + LATE)
    if count % 10 == 0:
        _notes.put("tasks", number=len(asyncio.all_tasks()))
    loop.call_at(now + PROBE, _probe, now + PROBE, count + 1)


def _collected(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        _notes.put("collected", number=info["collected"])


class SoakBot(AgentPipeline):
    """A bot; the first one of the process begins to count its tasks."""

    async def on_start(self) -> None:
        """Begin to count."""
        global _probing
        if not _probing:
            _probing = True
            gc.callbacks.append(_collected)
            _probe(asyncio.get_running_loop().time(), 0)


@dataclass(frozen=True, slots=True)
class Repeater(Backend):
    """Says each turn back, bit by bit: a parrot that does not resample."""

    in_process = True
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=RATE,
        output_rate=RATE,
        wants_turn_audio=True,
        cancel=True,
        truncate=True,
        replies_wait=True,
    )

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session; it lives in this process."""
        yield _RepeaterSession(context)


class _RepeaterSession(InlineSession):
    def __init__(self, context: BackendContext) -> None:
        self._emit = context.emit
        self._ids = (f"repeat-{context.attempt}-{number}" for number in itertools.count())

    def handle(self, item: BackendInput) -> None:
        if isinstance(item, InterruptInput) or not isinstance(item, TurnEndedInput) or item.audio is None:
            return
        _notes.put_marks("arrived", marks(item.audio), backend="parrot")
        reply = next(self._ids)
        self._emit(ReplyStarted(reply))
        for at in range(0, len(item.audio), RATE // 10):
            self._emit(ReplyAudio(reply, item.audio[at : at + RATE // 10]))
        self._emit(ReplyAudioEnded(reply))


@dataclass(frozen=True, eq=False)
class Understanding(SpeechToText):
    """Understands which utterances a turn has."""

    in_process: ClassVar[bool] = True

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript]:
        """Part of `SpeechToText`."""
        found = list(marks(audio))
        _notes.put_marks("arrived", found, backend="cascade")
        numbers = dict.fromkeys((mark.call, mark.utterance) for mark in found)
        yield Transcript(
            " ".join(f"call{call}said{utterance}" for call, utterance in numbers) or "?", final=True
        )


@dataclass(frozen=True, eq=False)
class Model(LanguageModel):
    """Answers with the utterances it was told last."""

    in_process: ClassVar[bool] = True

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolDeclaration]
    ) -> AsyncIterator[LLMChunk]:
        """Part of `LanguageModel`."""
        await asyncio.sleep(0.1)
        # What it is told of outages is left out.
        yield " ".join(_UTTERANCE.findall(messages[-1].text)) or "what?"


@dataclass(frozen=True, eq=False)
class Voice(TextToSpeech):
    """Says it with the marks of the utterances, at the rate of a cascade's voice: nothing is resampled."""

    sample_rate: int = 24000
    in_process: ClassVar[bool] = True

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Part of `TextToSpeech`."""
        for name in _UTTERANCE.findall(text) or ["call65535said0"]:
            call, utterance = name.removeprefix("call").split("said")
            yield voice(int(call), int(utterance), self.sample_rate).astype("<i2").tobytes()


class ParrotBot(SoakBot):
    """A parrot."""

    backend = Repeater()


class CascadeBot(SoakBot):
    """A cascade."""

    backend = Cascade(stt=[Understanding()], llm=[Model()], tts=[Voice()])


class GeminiBot(SoakBot):
    """A bot whose backend the configuration names."""
