"""How servers differ from OpenAI's own, as far as a client can see it.

Of the sources and documents of the servers, in 2026: llama.cpp's `llama-server`, Ollama, vLLM, speaches and
Kokoro-FastAPI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Flavour:
    """What one server does in its own way.

    Attributes:
        thoughts: The field in which it tells what a model reasons before it answers; None where it does not.
        calls_at_zero: Whether every call of a tool has the index 0.
        counts_on: Whether the usage comes with every chunk, as far as it is.
        more: Further fields of the last chunk.
        ends: Whether a stream ends with `[DONE]`.
        chunked_transcripts: Whether a streamed transcript has the form of a chat.
        voices: Models for speech; None takes any.
        rates: Whether speech has the `sample_rate` that is asked for.
        needs_voice: Whether speech without a voice is refused.
    """

    thoughts: str | None = None
    calls_at_zero: bool = False
    counts_on: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    ends: bool = True
    chunked_transcripts: bool = False
    voices: frozenset[str] | None = None
    rates: bool = False
    needs_voice: bool = False

    def thinks(self, request: Mapping[str, Any]) -> bool:
        """Whether a model reasons before it answers this: not where it is told to leave it."""
        told = request.get("chat_template_kwargs") or {}
        off = request.get("reasoning_effort") == "none" or told.get("enable_thinking") is False
        return self.thoughts is not None and not off


OPENAI = Flavour(needs_voice=True)
FLAVOURS: Mapping[str, Flavour] = {
    "openai": OPENAI,
    "llama.cpp": Flavour(thoughts="reasoning_content", more={"timings": {"predicted_per_second": 42.0}}),
    "ollama": Flavour(thoughts="reasoning", calls_at_zero=True),
    "vllm": Flavour(thoughts="reasoning", counts_on=True, chunked_transcripts=True),
    "speaches": Flavour(rates=True, needs_voice=True),
    "kokoro": Flavour(voices=frozenset({"kokoro", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"})),
}
