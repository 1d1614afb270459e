"""`stt: {type: openai}`: transcriptions of whole turns, streamed where the server can."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.cascade import SpeechToText, Spent, Transcript
from fishjam_agents.backends.cascade.parts import STT_RATE
from fishjam_agents.backends.port import Samples
from fishjam_agents.errors import BackendError
from fishjam_agents_openai.access import Access, as_backend_errors

if TYPE_CHECKING:
    from openai import AsyncOpenAI


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
    extra: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """As `Access.check`."""
        Access.check(self)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpeechToText]:
        """Get ready for a call."""
        async with self.client() as client:
            yield _Connected(self, client)

    def transcribe(self, audio: Samples) -> AsyncIterator[Transcript | Spent]:
        """Only what `connect` yields understands."""
        raise BackendError("enter connect() first: it yields the part that understands")


class _Connected(SpeechToText):
    def __init__(self, settings: Transcription, client: AsyncOpenAI) -> None:
        self._settings = settings
        self._client = client

    async def transcribe(self, audio: Samples) -> AsyncIterator[Transcript | Spent]:
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
        with as_backend_errors("the transcript", settings.secrets):
            if not settings.stream:
                answer = await self._client.audio.transcriptions.create(**request)
                # Some servers answer in plain text, with a newline at its end.
                text = answer if isinstance(answer, str) else answer.text
                yield Transcript(text.strip(), final=True)
                return
            text = ""
            stream = await self._client.audio.transcriptions.create(**request, stream=True)
            try:
                async for event in stream:
                    if event.type == "transcript.text.delta":
                        text += event.delta
                        yield Transcript(text)
                    elif event.type == "transcript.text.done":
                        text = event.text
            finally:
                await stream.close()
            yield Transcript(text.strip(), final=True)


def _wav(audio: Samples) -> bytes:
    """The turn as a WAV file: servers take no bare PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(STT_RATE)
        writer.writeframes(audio.astype("<i2").tobytes())
    return file.getvalue()
