"""Differences of servers from OpenAI's own, as far as a client can see them.

Of the sources and documents of the servers, in 2026: llama.cpp's `llama-server`, Ollama, vLLM, speaches,
Orpheus-FastAPI and Kokoro-FastAPI. What Gemini's endpoint for OpenAI clients, DeepSeek, Kimi, Mistral and
templates of Gemma insist on is from their documents and from public reports of their refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Dialect:
    """Peculiarities of one server.

    Attributes:
        thoughts: The field in which it tells what a model reasons before it answers; None where it does not.
        returns_thoughts: How it asks for the reasoning that came with calls of tools, with `{index}` for the
            message that lacks it; None where it need not come back.
        signs: Whether the first call of an answer has a thought signature, which must come back.
        in_parts: Whether content is a list of parts, reasoning first.
        alternates: How it refuses messages whose roles do not take turns; None where it takes any.
        tool_then_user: Whether a user may follow a tool's answer.
        short_ids: Whether ids of calls are 9 letters and digits.
        calls_at_zero: Whether every call of a tool has the index 0.
        bare_calls: Whether calls come without index and id, complete, their arguments an object.
        counts_on: Whether the usage comes with every chunk, as far as it is.
        more: Further fields of the last chunk.
        ends: Whether a stream ends with `[DONE]`.
        ends_empty: Whether the last event of a streamed transcript has no text.
        chunked_transcripts: Whether a streamed transcript has the form of a chat.
        voices: Models for speech; None takes any.
        rates: Whether speech has the `sample_rate` that is asked for.
        needs_voice: Whether speech without a voice is refused.
        wav: Whether speech is a WAV file, whatever is asked for.
    """

    thoughts: str | None = None
    returns_thoughts: str | None = None
    signs: bool = False
    in_parts: bool = False
    alternates: tuple[int, str] | None = None
    tool_then_user: bool = True
    short_ids: bool = False
    calls_at_zero: bool = False
    bare_calls: bool = False
    counts_on: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    ends: bool = True
    ends_empty: bool = False
    chunked_transcripts: bool = False
    voices: frozenset[str] | None = None
    rates: bool = False
    needs_voice: bool = False
    wav: bool = False

    def thinks(self, request: Mapping[str, Any]) -> bool:
        """Return whether a model reasons before it answers this: not where the request switches it off."""
        told = request.get("chat_template_kwargs") or {}
        off = request.get("reasoning_effort") == "none" or told.get("enable_thinking") is False
        return (self.thoughts is not None or self.in_parts) and not off


_TURNS = "Conversation roles must alternate user/assistant/user/assistant/..."
OPENAI = Dialect(needs_voice=True)
DIALECTS: Mapping[str, Dialect] = {
    "openai": OPENAI,
    "llama.cpp": Dialect(
        thoughts="reasoning_content", more={"timings": {"predicted_per_second": 42.0}}, ends_empty=True
    ),
    "ollama": Dialect(thoughts="reasoning", calls_at_zero=True),
    "vllm": Dialect(thoughts="reasoning", counts_on=True, chunked_transcripts=True),
    "gemini": Dialect(signs=True, calls_at_zero=True),
    "deepseek": Dialect(
        thoughts="reasoning_content",
        returns_thoughts="Missing `reasoning_content` field in the assistant message at message index "
        "{index}.",
    ),
    "kimi": Dialect(
        thoughts="reasoning_content",
        returns_thoughts="thinking is enabled but reasoning_content is missing in assistant tool call "
        "message at index {index}",
    ),
    "mistral": Dialect(
        in_parts=True,
        alternates=(400, f"After the optional system message, {_TURNS}"),
        tool_then_user=False,
        short_ids=True,
    ),
    "gemma": Dialect(alternates=(500, _TURNS)),
    "tgi": Dialect(alternates=(400, f"Template error: {_TURNS}"), bare_calls=True),
    "speaches": Dialect(rates=True, needs_voice=True),
    "orpheus": Dialect(wav=True),
    "kokoro": Dialect(voices=frozenset({"kokoro", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"})),
}
