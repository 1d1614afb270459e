"""Settings of OpenAI Realtime, as they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The service's own turn detection, for `turns.owner: backend`. None is not sent.

    Attributes:
        type: `server_vad` listens for silence, `semantic_vad` to what is said.
        threshold: Of `server_vad`: 0 to 1, how sure it must be of a voice.
        prefix_padding_ms: Of `server_vad`: audio before the voice that belongs to the turn.
        silence_duration_ms: Of `server_vad`: quiet that ends a turn.
        eagerness: Of `semantic_vad`: how soon it answers.
    """

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None

    def __post_init__(self) -> None:
        vad = (self.threshold, self.prefix_padding_ms, self.silence_duration_ms)
        if self.type == "semantic_vad" and vad != (None, None, None):
            raise ValueError("type: semantic_vad takes only eagerness")
        if self.type == "server_vad" and self.eagerness is not None:
            raise ValueError("eagerness: only semantic_vad takes it")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be between 0 and 1, not {self.threshold:g}")

    def as_sent(self) -> dict[str, Any]:
        """The object of the session."""
        names = ("threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {"type": self.type, **given, "create_response": True, "interrupt_response": True}
