"""Settings of a session that only transcribes, as they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fishjam_agents.errors import SettingError
from fishjam_agents.units import Seconds
from fishjam_agents_openai.access import Access
from fishjam_agents_openai.realtime.history import RATE

_HOUR = 3600.0
"""Seconds after which the service ends a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings(Access):
    """Words while they are spoken. What is None is not sent; the service has its own defaults.

    Attributes:
        model: Its name.
        language: Two letters, ISO 639-1; None lets the model find out.
        languages: Languages that may be spoken, where the model takes several.
        keywords: Words that may be said: names, and how they are written.
        prompt: Text that helps models which take one.
        delay: How long the model waits before it writes, where it lets itself be told.
        noise_reduction: `near_field` for headsets, `far_field` for rooms.
        renew_after: Seconds after which the connection is followed by a new one, before the service ends it
            after an hour.
        keepalive: Seconds between two pings, for the answer to one, and for a message to be taken.
        beta: Whether the server knows only the session of the old beta.
        raw: Further fields of the session, laid over all others.
    """

    loads: ClassVar[Sequence[str]] = (
        *Access.loads,
        "openai.resources.realtime.realtime",
        "openai._websocket_connection",
        "openai.lib._websocket",
        "fishjam_agents.backends.direct_socket",
    )

    model: str = "gpt-live-transcribe"
    language: str | None = None
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    noise_reduction: Literal["near_field", "far_field"] | None = None
    renew_after: Seconds = 3300.0
    keepalive: Seconds = 10.0
    beta: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise SettingError("model", "must be the name of a model, like gpt-live-transcribe")
        if not 0 < self.renew_after < _HOUR:
            raise SettingError(
                "renew_after", f"must be positive and less than {_HOUR:g}, the service's own limit"
            )
        if self.keepalive <= 0:
            raise SettingError("keepalive", "must be above 0")
        if self.language is not None and self.languages:
            raise SettingError("languages", "and language are one too many", "give one of them")

    def session(self) -> dict[str, Any]:
        """The session as it is asked for: turns are told by us (`turn_detection: null`)."""
        given = {
            "language": self.language,
            "languages": list(self.languages) or None,
            "keywords": list(self.keywords) or None,
            "prompt": self.prompt,
            "delay": self.delay,
        }
        transcription = {"model": self.model} | {
            name: value for name, value in given.items() if value is not None
        }
        noise = None if self.noise_reduction is None else {"type": self.noise_reduction}
        if self.beta:
            flat: dict[str, Any] = {
                "input_audio_format": "pcm16",
                "input_audio_transcription": transcription,
                "turn_detection": None,
            }
            return flat | ({} if noise is None else {"input_audio_noise_reduction": noise}) | dict(self.raw)
        hears: dict[str, Any] = {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": transcription,
            "turn_detection": None,
        }
        if noise is not None:
            hears["noise_reduction"] = noise
        return {"type": "transcription", "audio": {"input": hears}} | dict(self.raw)
