"""Speech to text, a language model and text to speech, composed to one backend."""

from __future__ import annotations

from fishjam_agents.backends.cascade.backend import Cascade
from fishjam_agents.backends.cascade.components import (
    ContextFullError,
    LanguageModel,
    LLMChunk,
    LLMToolCall,
    LLMUsage,
    Message,
    Reasoning,
    SpeechToText,
    TextToSpeech,
    Transcript,
)

__all__ = [
    "Cascade",
    "ContextFullError",
    "LLMChunk",
    "LLMToolCall",
    "LLMUsage",
    "LanguageModel",
    "Message",
    "Reasoning",
    "SpeechToText",
    "TextToSpeech",
    "Transcript",
]
