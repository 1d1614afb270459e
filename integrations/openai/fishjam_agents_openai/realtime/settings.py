"""Settings of OpenAI Realtime, as they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_SILENCE_MS = 500
"""What `server_vad` waits for by default."""
_SEMANTIC_QUIET = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
"""The longest `semantic_vad` waits, seconds by eagerness (both from the types of the client)."""
Effort: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The service's own turn detection, for `turns.owner: backend`. None is not sent.

    Attributes:
        type: `server_vad` listens for silence, `semantic_vad` to what is said.
        threshold: Of `server_vad`: 0 to 1, how sure it must be of a voice.
        prefix_padding_ms: Of `server_vad`: audio before the voice that belongs to the turn.
        silence_duration_ms: Of `server_vad`: quiet that ends a turn.
        idle_timeout_ms: Of `server_vad`: quiet after a reply at which the model speaks up by itself.
        eagerness: Of `semantic_vad`: how soon it answers.
    """

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None

    def __post_init__(self) -> None:
        vad = (self.threshold, self.prefix_padding_ms, self.silence_duration_ms, self.idle_timeout_ms)
        if self.type == "semantic_vad" and vad != (None, None, None, None):
            raise ValueError("type: semantic_vad takes only eagerness")
        if self.type == "server_vad" and self.eagerness is not None:
            raise ValueError("eagerness: only semantic_vad takes it")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be between 0 and 1, not {self.threshold:g}")
        if any(value is not None and value < 0 for value in vad[1:]):
            raise ValueError("times in milliseconds cannot be negative")

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
        session: In the form of today (facts/backends.md B.2).
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
