"""`type: wav`: answers each turn with a recording: an announcement, a legal notice, a test signal."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fishjam_agents.audio.wav import load_speech
from fishjam_agents.backends.port import (
    Backend,
    BackendContext,
    BackendInput,
    Capabilities,
    InlineSession,
    ReplyAudio,
    ReplyAudioEnded,
    ReplyStarted,
    ReplyTextDelta,
    TurnEndedInput,
)

_RATE = 24000


@dataclass(frozen=True, slots=True)
class Wav(Backend):
    """A bot that plays a file.

    Attributes:
        file: A 16-bit WAV of any rate, mono or stereo.
        text: What the recording says, so that what was heard of it has words; None leaves it without.
    """

    in_process = True
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate=16000, output_rate=_RATE, wants_turn_audio=True, replies_wait=True
    )

    file: Path
    text: str | None = None

    def check(self) -> None:
        """Read the file.

        Raises:
            AudioError: It cannot be played.
        """
        load_speech(self.file, _RATE)

    @asynccontextmanager
    async def connect(self, context: BackendContext) -> AsyncIterator[InlineSession]:
        """Open a session; it lives in this process.

        Raises:
            AudioError: The file cannot be played.
        """
        yield _WavSession(self, context)


class _WavSession(InlineSession):
    def __init__(self, settings: Wav, context: BackendContext) -> None:
        self._samples = load_speech(settings.file, _RATE)
        self._text = settings.text
        self._emit = context.emit
        self._ids = (f"wav-{context.attempt}-{n}" for n in itertools.count(1))

    def handle(self, item: BackendInput) -> None:
        if not isinstance(item, TurnEndedInput):
            return
        reply = next(self._ids)
        self._emit(ReplyStarted(reply))
        if self._text:
            self._emit(ReplyTextDelta(reply, self._text))
        self._emit(ReplyAudio(reply, self._samples))
        self._emit(ReplyAudioEnded(reply))
