"""`stt: {type: openai}`: transcriptions of whole turns, streamed where the server can."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fishjam_agents.backends.cascade import LLMUsage, SpeechToText, Transcript
from fishjam_agents.backends.cascade.components import STT_RATE
from fishjam_agents.backends.port import Samples
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.access import Access, as_backend_errors, expect_no_page, page
from fishjam_agents_openai.amounts import amounts

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_WHAT = "the transcript"
_SHORTEST = 0.2
"""Seconds to which a shorter turn is filled up with silence: OpenAI refuses what is under 0.1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription(Access, SpeechToText):
    """Speech to text behind `/audio/transcriptions`.

    Attributes:
        model: Its name.
        language: Two letters, ISO 639-1; None lets the model find out.
        prompt: Words that help it: names, and how they are written.
        stream: Whether words are wanted as they are understood. Not every server can; some models send all at
            once either way.
        extra: Further fields of the request, as the server has them.
    """

    model: str
    language: str | None = None
    prompt: str | None = None
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpeechToText]:
        """Get ready for a call."""
        async with self.client() as client:
            yield _Connected(self, client)

    def transcribe(self, audio: Samples) -> AsyncIterator[Transcript | LLMUsage]:
        """Only what `connect` yields understands."""
        raise BackendError("enter connect() first: it yields the part that understands")


class _Connected(SpeechToText):
    def __init__(self, settings: Transcription, client: AsyncOpenAI) -> None:
        self._settings = settings
        self._client = client

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript | LLMUsage]:
        settings = self._settings
        optional = {
            "language": settings.language,
            "prompt": settings.prompt,
            "extra_body": dict(settings.extra) or None,
        }
        request: dict[str, Any] = {
            "model": settings.model,
            "file": ("turn.wav", _wav(audio), "audio/wav"),
            **{name: value for name, value in optional.items() if value is not None},
            **settings.besides,
        }
        if not len(audio):
            yield Transcript("", final=True)
            return
        what = settings.source(_WHAT)
        settings.renew(self._client)
        with as_backend_errors(what, settings.secrets):
            if not settings.stream:
                answer = await self._client.audio.transcriptions.create(**request)
                for piece in _whole(what, answer if isinstance(answer, str) else answer.model_dump()):
                    yield piece
                return
            text = ""
            stream = await self._client.audio.transcriptions.create(**request, stream=True)
            try:
                expect_no_page(what, stream.response)
                if stream.response.headers.get("content-type", "").startswith("application/json"):
                    # Whoever cannot stream this model, as OpenAI with whisper-1, answers at once.
                    for piece in _whole(what, json.loads(await stream.response.aread())):
                        yield piece
                    return
                async for event in stream:
                    words, all_words, usage = _read(event.model_dump())
                    # llama.cpp ends with an empty text, whatever came before it.
                    text = all_words if all_words and all_words.strip() else text + words
                    if words:
                        yield Transcript(text)
                    if usage:
                        yield LLMUsage(usage)
            finally:
                await stream.close()
            yield Transcript(text.strip(), final=True)


def _read(event: Mapping[str, Any]) -> tuple[str, str | None, dict[str, float]]:
    """Return the text that an event adds, the whole text if it gives it, and the cost."""
    usage = amounts(event.get("usage") or {})
    match event:
        case {"type": "transcript.text.delta", "delta": str(words)}:
            return words, None, usage
        case {"type": "transcript.text.done", "text": str(text)}:
            return "", text, usage
        case {"object": "transcription.chunk", "choices": [{"delta": {"content": str(words)}}, *_]}:
            # vLLM's own form of a stream.
            return words, None, usage
        case _:
            return "", None, usage


def _whole(what: str, answer: str | Mapping[str, Any]) -> Iterator[Transcript | LLMUsage]:
    """A transcript that came in one piece: plain text, as some servers send it, or JSON."""
    if isinstance(answer, str):
        if answer.lstrip().startswith("<"):
            raise page(what)
        yield Transcript(answer.strip(), final=True)
        return
    text = answer.get("text", ...)
    # Some servers have null for a turn without a word.
    text = "" if text is None else text
    if not isinstance(text, str):
        raise BackendError(f"{what} has no text: is this a server for transcriptions?", failure="protocol")
    if usage := amounts(answer.get("usage") or {}):
        yield LLMUsage(usage)
    yield Transcript(text.strip(), final=True)


def _wav(audio: Samples) -> bytes:
    """The turn as a WAV file: servers take no bare PCM."""
    missing = round(_SHORTEST * STT_RATE) - len(audio)
    if missing > 0:
        audio = np.concatenate([audio, np.zeros(missing, np.int16)])
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(STT_RATE)
        writer.writeframes(audio.astype("<i2").tobytes())
    return file.getvalue()
