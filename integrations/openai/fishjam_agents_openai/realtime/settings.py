"""Settings of OpenAI Realtime, as they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fishjam_agents.backends.port import ToolDeclaration
from fishjam_agents.errors import SettingError
from fishjam_agents.units import Factor, Milliseconds, Seconds, Share, Tokens
from fishjam_agents_openai.access import Access
from fishjam_agents_openai.realtime.history import RATE
from fishjam_agents_openai.realtime.usage import PRICED

_HOUR = 3600.0
"""Seconds after which the service ends a session."""
_MAX_TOKENS = 4096
_SPEEDS = (0.25, 1.5)
_SILENCE_MS = 500
"""Milliseconds that `server_vad` waits for by default."""
_SEMANTIC_QUIET = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
"""The longest `semantic_vad` waits, seconds by eagerness (both from the types of the client)."""
Effort: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The service's own turn detection, for `turns.mode: backend`. None is not sent.

    Attributes:
        type: `server_vad` listens for silence, `semantic_vad` to what is said.
        threshold: Of `server_vad`: 0 to 1, how sure it must be of a voice.
        prefix_padding_ms: Of `server_vad`: audio before the voice that belongs to the turn.
        silence_duration_ms: Of `server_vad`: quiet that ends a turn.
        idle_timeout_ms: Of `server_vad`: quiet after a reply at which the model speaks up by itself.
        eagerness: Of `semantic_vad`: how soon it answers.
    """

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: Share | None = None
    prefix_padding_ms: Milliseconds | None = None
    silence_duration_ms: Milliseconds | None = None
    idle_timeout_ms: Milliseconds | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None

    def __post_init__(self) -> None:
        vad = (self.threshold, self.prefix_padding_ms, self.silence_duration_ms, self.idle_timeout_ms)
        if self.type == "semantic_vad" and vad != (None, None, None, None):
            raise SettingError("type", action="semantic_vad takes only eagerness")
        if self.type == "server_vad" and self.eagerness is not None:
            raise SettingError("eagerness", action="only semantic_vad takes it")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise SettingError("threshold", f"must be between 0 and 1, not {self.threshold:g}")
        if any(value is not None and value < 0 for value in vad[1:]):
            raise SettingError(
                None,
                "times in milliseconds cannot be negative",
                fields=["prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"],
            )

    @property
    def quiet(self) -> float:
        """Seconds of quiet after which the service takes a turn for over, at the latest."""
        if self.type == "semantic_vad":
            return _SEMANTIC_QUIET[self.eagerness or "auto"]
        return (_SILENCE_MS if self.silence_duration_ms is None else self.silence_duration_ms) / 1000

    def as_sent(self) -> dict[str, Any]:
        """The object of the session."""
        names = ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms", "eagerness")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {"type": self.type, **given, "create_response": True, "interrupt_response": True}


def beta_session(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session in the form of the old beta: flat, formats by name.

    Args:
        session: In the form of today (`RealtimeSessionCreateRequest` of openai's types).
    """
    old = {name: value for name, value in session.items() if name not in ("type", "audio")}
    if "output_modalities" in old:
        old.pop("output_modalities")
        old["modalities"] = ["text", "audio"]
    if "max_output_tokens" in old:
        old["max_response_output_tokens"] = old.pop("max_output_tokens")
    if "audio" in session:
        hears, speaks = session["audio"]["input"], session["audio"]["output"]
        old |= {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
        old["turn_detection"] = hears["turn_detection"]
        if "transcription" in hears:
            old["input_audio_transcription"] = hears["transcription"]
        if "noise_reduction" in hears:
            old["input_audio_noise_reduction"] = hears["noise_reduction"]
        old |= {name: speaks[name] for name in ("voice", "speed") if name in speaks}
    return old


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSettings(Access):
    """Speech to speech. What is None is not sent; the service has its own defaults.

    Attributes:
        model: Its name; on Azure that of the deployment.
        voice: One of its voices.
        speed: 0.25 to 1.5.
        detection: The service's turn detection; only asked where `turns.mode` is `backend`.
        transcription: Model that writes down what users say; None writes nothing down.
        language: Two letters, for the transcription.
        keywords: Words the transcription may meet.
        noise_reduction: `near_field` for headsets, `far_field` for rooms.
        reasoning: How much a reasoning model thinks before it speaks.
        max_output_tokens: Bound of a reply, 1 to 4096.
        renew_after: Seconds after which a connection is renewed at a quiet moment, before the service ends it
            after an hour.
        answer_timeout: Seconds an answer may take before the connection is looked after.
        keepalive: Seconds between two pings, and for the answer to one.
        prices: Price of a million tokens by `input_text`, `input_audio`, `input_image`, `cached_text`,
            `cached_audio`, `cached_image`, `output_text`, `output_audio`, `transcription_input`,
            `transcription_output`, and of a second by `transcription_seconds`; turns on the running cost.
        beta: Whether the server knows only the session of the old beta. Events are understood by either name.
        raw: Further fields of the session, laid over all others.
    """

    model: str = "gpt-realtime-2.1"
    voice: str | None = None
    speed: Factor | None = None
    detection: Detection = Detection()
    transcription: str | None = "gpt-live-transcribe"
    language: str | None = None
    keywords: tuple[str, ...] = ()
    noise_reduction: Literal["near_field", "far_field"] | None = None
    reasoning: Effort | None = None
    max_output_tokens: Tokens | None = None
    renew_after: Seconds = 3300.0
    answer_timeout: Seconds = 20.0
    keepalive: Seconds = 10.0
    prices: Mapping[str, float] = field(default_factory=dict)
    beta: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise SettingError("model", "must be the name of a model, like gpt-realtime-2.1")
        if self.speed is not None and not _SPEEDS[0] <= self.speed <= _SPEEDS[1]:
            raise SettingError(
                "speed", f"must be between {_SPEEDS[0]:g} and {_SPEEDS[1]:g}, not {self.speed:g}"
            )
        if self.max_output_tokens is not None and not 1 <= self.max_output_tokens <= _MAX_TOKENS:
            raise SettingError("max_output_tokens", f"must be between 1 and {_MAX_TOKENS}")
        if not 0 < self.renew_after < _HOUR:
            raise SettingError(
                "renew_after", f"must be positive and less than {_HOUR:g}, the service's own limit"
            )
        if self.answer_timeout <= 0 or self.keepalive <= 0:
            raise SettingError("answer_timeout", "and keepalive must be positive", fields=["keepalive"])
        unknown = self.prices.keys() - PRICED
        if unknown:
            raise SettingError("prices", f"knows no {min(unknown)}", f"use {', '.join(sorted(PRICED))}")

    def session(
        self, instructions: str | None, tools: Sequence[ToolDeclaration], local: bool
    ) -> dict[str, Any]:
        """The session as it is asked for."""
        pcm = {"type": "audio/pcm", "rate": RATE}
        hears: dict[str, Any] = {"format": pcm, "turn_detection": None if local else self.detection.as_sent()}
        speaks: dict[str, Any] = {"format": pcm}
        if self.transcription is not None:
            hears["transcription"] = {"model": self.transcription}
            if self.language is not None:
                hears["transcription"]["language"] = self.language
            if self.keywords:
                hears["transcription"]["keywords"] = list(self.keywords)
        if self.noise_reduction is not None:
            hears["noise_reduction"] = {"type": self.noise_reduction}
        if self.voice is not None:
            speaks["voice"] = self.voice
        if self.speed is not None:
            speaks["speed"] = self.speed
        wanted: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": hears, "output": speaks},
            "tools": [tool_as_sent(tool) for tool in tools],
        }
        if instructions:
            wanted["instructions"] = instructions
        if self.reasoning is not None:
            wanted["reasoning"] = {"effort": self.reasoning}
        if self.max_output_tokens is not None:
            wanted["max_output_tokens"] = self.max_output_tokens
        if self.beta:
            wanted = beta_session(wanted)
        return wanted | dict(self.raw)

    def session_update(self, instructions: str | None, tools: Sequence[ToolDeclaration]) -> dict[str, Any]:
        """Return the update for new instructions or tools: voice and formats are fixed once it has spoken."""
        update: dict[str, Any] = {"instructions": instructions or "", "tools": [*map(tool_as_sent, tools)]}
        return update if self.beta else {"type": "realtime", **update}


def tool_as_sent(tool: ToolDeclaration) -> dict[str, Any]:
    """A tool of the session."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
