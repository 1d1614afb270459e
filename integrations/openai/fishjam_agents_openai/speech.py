"""`tts: {type: openai}`: speech, played while it is still being made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fishjam_agents.backends.cascade import TextToSpeech
from fishjam_agents.errors import BackendError, SettingError
from fishjam_agents.units import Factor, Hertz
from fishjam_agents_openai.access import Access, as_backend_errors
from fishjam_agents_openai.containers import NoPcmError, SoundReader

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(Access, TextToSpeech):
    """Text to speech behind `/audio/speech`.

    Attributes:
        model: Its name.
        voice: One of its voices.
        instructions: How it should speak.
        speed: 0.25 to 4; None leaves it to the server.
        sample_rate: Hz of its raw PCM, which hardly an answer tells: OpenAI's 24000 unless the server is
            told, or known, to speak at another. A WAV file tells its own.
        extra: Further fields of the request, as the server has them.
    """

    model: str
    voice: str
    instructions: str | None = None
    speed: Factor | None = None
    sample_rate: Hertz = 24000
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.speed is not None and not 0.25 <= self.speed <= 4:
            raise SettingError("speed", f"must be between 0.25 and 4, not {self.speed:g}")
        if not 8000 <= self.sample_rate <= 48000:
            raise SettingError("sample_rate", f"must be between 8000 and 48000, not {self.sample_rate}")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[TextToSpeech]:
        """Get ready for a call."""
        async with self.client() as client:
            yield _Connected(self, client)

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Only what `connect` yields speaks."""
        raise BackendError("enter connect() first: it yields the voice that speaks")


class _Connected(TextToSpeech):
    def __init__(self, settings: Speech, client: AsyncOpenAI) -> None:
        self.sample_rate = settings.sample_rate
        self._settings = settings
        self._client = client

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        settings = self._settings
        optional = {
            "instructions": settings.instructions,
            "speed": settings.speed,
            "extra_body": dict(settings.extra) or None,
        }
        request: dict[str, Any] = {
            "model": settings.model,
            "voice": settings.voice,
            "input": text,
            "response_format": "pcm",
            **{name: value for name, value in optional.items() if value is not None},
            **settings.besides,
        }
        what = settings.source("speech")
        settings.renew(self._client)
        with as_backend_errors(what, settings.secrets):
            async with self._client.audio.speech.with_streaming_response.create(**request) as answer:
                label = answer.headers.get("content-type", "")
                if label.startswith(("application/json", "text/")):
                    raise _no_sound(what, label.partition(";")[0])
                reader = SoundReader(self.sample_rate, label)
                length = 0
                try:
                    # As the network has it: waiting for full blocks would cost the first words their time.
                    async for piece in answer.iter_bytes():
                        if sound := reader.feed(piece):
                            length += len(sound)
                            yield sound
                    if sound := reader.finish():
                        length += len(sound)
                        yield sound
                except NoPcmError as error:
                    raise _no_sound(what, str(error)) from error
                if length < 2:
                    raise BackendError(f"{what} came without a sound: try again", retryable=True)


def _no_sound(what: str, kind: str) -> BackendError:
    return BackendError(
        f"{what} came as {kind}, which is no raw PCM: check base_url, and whether extra asks for "
        "another response_format, or the server has no pcm",
        failure="config",
    )
